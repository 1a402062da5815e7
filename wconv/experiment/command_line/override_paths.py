"""Paths on the command line: they mean what they would mean to the shell, wherever the configuration lies."""

import os
import re
from itertools import combinations

from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.common.path_keys import is_path_key

QUOTES = "'\""
# An entry of a list: a comma within quotes, or behind a backslash, belongs to it.
LISTED = re.compile(r"""\s*('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|(?:\\.|[^,\\])+)""")
ESCAPED = re.compile(r"\\([\\()\[\]{}:=, \t])")  # what Hydra lets a backslash stand before, outside quotes


def absolute_override(line: str, multirun: bool) -> str:
    """Quote the value of a path and make it absolute; in a grid, each of its values.

    Raises:
        ConfigError: a comma separates two folders that would be one, or the reverse, and how to write it.
    """
    key, _, value = line.partition("=")
    if not is_path_key(key) or value in ("", "null", "auto") or "${" in value:
        return line
    if value[0] == "[" and value[-1] == "]":
        entries = LISTED.findall(value[1:-1])
        _check_commas(line, key, entries, "[{}]")
        return f"{key}=[{_absolute(entries)}]"
    if multirun:
        entries = LISTED.findall(value)
        _check_commas(line, key, entries, "{}")
        return f"{key}={_absolute(entries)}"
    return f"{key}={_absolute([value])}"


def _check_commas(line: str, key: str, entries: list[str], form: str) -> None:
    """Refuse a folder with a comma in its name that was cut in two: it is there, and what it was cut into is not."""
    for first, last in combinations(range(len(entries)), 2):
        parts = entries[first : last + 1]
        whole = ",".join(parts)
        if os.path.exists(_path(whole)) and not all(os.path.exists(_path(part)) for part in parts):
            quoted = form.format(",".join([*entries[:first], f"'{whole.strip()}'", *entries[last + 1 :]]))
            raise ConfigError(f'{line}: a comma separates folders; for one in a name write "{key}={quoted}"')


def _absolute(entries: list[str]) -> str:
    """Make paths absolute and quote them."""
    return ",".join(_quoted(os.path.abspath(path)) for entry in entries if (path := _path(entry)))


def _path(entry: str) -> str:
    """Return the path that Hydra would read, with the quotes and backslashes taken off that stand for it."""
    text = entry.strip()
    if len(text) > 1 and text[0] in QUOTES and text[-1] == text[0]:
        return os.path.expanduser(text[1:-1].replace(f"\\{text[0]}", text[0]))
    return os.path.expanduser(ESCAPED.sub(r"\1", text))


def _quoted(path: str) -> str:
    """Quote a path: of backslashes, Hydra halves those before a quote."""
    return "'" + re.sub(r"(\\*)'", r"\1\1\\'", re.sub(r"(\\+)$", r"\1\1", path)) + "'"


def absolute_overrides(lines: list[str]) -> list[str]:
    """Return overrides with the paths among them made absolute and quoted; relative ones start where one is."""
    return [absolute_override(line, multirun=False) for line in lines]
