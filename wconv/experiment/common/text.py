"""Make text from files safe to show on a terminal, in Markdown or in a spreadsheet."""

import math
import re
from typing import Any

LINE = 160  # maximum characters


def escape_control_characters(text: object) -> str:
    """Escape characters that a terminal would interpret: line breaks, escape sequences, right-to-left marks."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in str(text))


def escape_markdown(text: object) -> str:
    """Escape a text so that Markdown renders it literally, and within its table cell."""
    escaped = escape_control_characters(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"[|`]|\](?=[(\[])", r"\\\g<0>", escaped)


def escape_spreadsheet_formula(value: Any) -> Any:
    """Escape a text that a spreadsheet would take for a formula; numbers stay unchanged."""
    if isinstance(value, str) and len(value) > 1 and value[0] in "=+-@\t\r":
        return f"'{value}"
    return value


def escape_mathtext(text: object) -> str:
    """Escape `$`, which starts a formula in Matplotlib, and truncate the text to one line."""
    return escape_control_characters(text)[:LINE].replace("$", r"\$")


def one_line(error: BaseException) -> str:
    """Return the message of an error as one line, or its type if it has no message."""
    return escape_control_characters(" ".join(str(error).split())) or type(error).__name__


def format_duration(seconds: float) -> str:
    """Format a duration for reading; empty if it is unknown or zero."""
    if math.isnan(seconds) or seconds <= 0:
        return ""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"
