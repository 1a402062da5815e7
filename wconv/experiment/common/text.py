"""Text from files, made safe to show: on a terminal, in Markdown, in a spreadsheet."""

import math
import re
from typing import Any

LINE = 160  # characters


def escape_control_characters(text: object) -> str:
    """Write out what a terminal would obey and nobody would see: line breaks, escape sequences, reversed writing."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in str(text))


def escape_markdown(text: object) -> str:
    """Return a text that stays a text, and within its cell, when Markdown is rendered."""
    escaped = escape_control_characters(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"[|`]|\](?=[(\[])", r"\\\g<0>", escaped)


def escape_spreadsheet_formula(value: Any) -> Any:
    """Return a value that no spreadsheet takes for a formula; numbers stay as they are."""
    if isinstance(value, str) and len(value) > 1 and value[0] in "=+-@\t\r":
        return f"'{value}"
    return value


def escape_mathtext(text: object) -> str:
    """Return a text that Matplotlib draws as it is, `$` not as the start of a formula; at most a line of it."""
    return escape_control_characters(text)[:LINE].replace("$", r"\$")


def one_line(error: BaseException) -> str:
    """Return the message of an error as one line, or its kind where it has none."""
    return escape_control_characters(" ".join(str(error).split())) or type(error).__name__


def format_duration(seconds: float) -> str:
    """Write a duration as people say it; nothing if it is not known, or nothing is left."""
    if math.isnan(seconds) or seconds <= 0:
        return ""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"
