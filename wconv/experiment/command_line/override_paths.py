"""Folders on the command line: they mean what they would mean to the shell, wherever the configuration lies."""

import os
import re

from wconv.experiment.common.directory_keys import is_directory_key

QUOTES = "'\""
LISTED = r"""\s*('[^']*'|"[^"]*"|[^,]+)"""  # an entry of a list: a comma within quotes belongs to it


def absolute_override(line: str, multirun: bool) -> str:
    """Quote the value of a path and make it absolute; in a grid, each of its values."""
    key, _, value = line.partition("=")
    if not is_directory_key(key) or value in ("", "null", "auto") or "${" in value:
        return line
    if value[0] == "[" and value[-1] == "]":
        return f"{key}=[{_absolute(re.findall(LISTED, value[1:-1]))}]"
    quoted = value[0] in QUOTES and value[-1] == value[0] and len(value) > 1
    return f"{key}=" + _absolute([value] if quoted else value.split(",") if multirun else [value])


def _absolute(paths: list[str]) -> str:
    """Make paths absolute and quote them."""
    plain = [path[1:-1] if path[:1] in QUOTES and path[-1:] == path[:1] else path for path in map(str.strip, paths)]
    absolute = [os.path.abspath(os.path.expanduser(path)).replace("'", "\\'") for path in plain if path]
    return ",".join(f"'{path}'" for path in absolute)


def absolute_overrides(lines: list[str]) -> list[str]:
    """Return overrides with the paths among them made absolute and quoted; relative ones start where one is."""
    return [absolute_override(line, multirun=False) for line in lines]
