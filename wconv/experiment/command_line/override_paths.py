"""Paths on the command line: relative ones start at the current folder, as in the shell."""

import os
import re
from itertools import combinations

from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.common.path_keys import is_path_key

QUOTES = "'\""
# An entry of a list; a comma within quotes, or after a backslash, is part of the entry.
LISTED = re.compile(r"""\s*('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|(?:\\.|[^,\\])+)""")
ESCAPED = re.compile(r"\\([\\()\[\]{}:=, \t])")  # characters that Hydra lets a backslash escape outside quotes


def absolute_override(line: str, multirun: bool) -> str:
    """Quote the value of a path and make it absolute; in a grid, each of its values.

    Raises:
        ConfigError: a comma splits the name of an existing folder; the message says how to quote it.
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
    """Refuse to split at a comma that is part of a name: the whole folder exists, and the parts do not."""
    for first, last in combinations(range(len(entries)), 2):
        parts = entries[first : last + 1]
        whole = ",".join(parts)
        if os.path.exists(_path(whole)) and not all(os.path.exists(_path(part)) for part in parts):
            quoted = form.format(",".join([*entries[:first], f"'{whole.strip()}'", *entries[last + 1 :]]))
            raise ConfigError(f'{line}: a comma separates folders; if it belongs to a name, write "{key}={quoted}"')


def _absolute(entries: list[str]) -> str:
    """Make paths absolute and quote them."""
    return ",".join(_quoted(os.path.abspath(path)) for entry in entries if (path := _path(entry)))


def _path(entry: str) -> str:
    """Return the path that Hydra would read, without quotes and escaping backslashes."""
    text = entry.strip()
    if len(text) > 1 and text[0] in QUOTES and text[-1] == text[0]:
        return os.path.expanduser(text[1:-1].replace(f"\\{text[0]}", text[0]))
    return os.path.expanduser(ESCAPED.sub(r"\1", text))


def _quoted(path: str) -> str:
    """Quote a path, doubling the backslashes that Hydra halves: those before a quote."""
    return "'" + re.sub(r"(\\*)'", r"\1\1\\'", re.sub(r"(\\+)$", r"\1\1", path)) + "'"


def absolute_overrides(lines: list[str]) -> list[str]:
    """Make the paths in overrides absolute, starting at the current folder, and quote them."""
    return [absolute_override(line, multirun=False) for line in lines]
