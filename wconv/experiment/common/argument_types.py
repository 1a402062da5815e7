"""Values of command-line options, for `type=` of argparse."""


def positive(text: str) -> int:
    """Return a whole number from 1 up.

    Raises:
        ValueError: the text is anything else.
    """
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


positive.__name__ = "positive whole number"  # argparse's words: invalid positive whole number value: '0'
