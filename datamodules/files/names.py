"""Names of files as text that can be shown and written anywhere."""


def printable(name: object) -> str:
    r"""Write out what a terminal would obey, and bytes that are no UTF-8: `\n`, `\x1b`, `\udce9`."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in str(name))
