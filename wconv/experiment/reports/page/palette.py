"""Colours of arms in light and dark mode, as CSS custom properties that the figures refer to."""

from collections.abc import Iterable

PAPER = {"light": "#FFFFFF", "dark": "#16181D"}
# Steps from the worst value to the best, which stands out most, for each background; from Matplotlib's cividis, which
# looks the same with any colour vision.
VALUES = {
    f"--value-{step}": shades
    for step, shades in enumerate(
        zip(
            ("#EAD34C", "#C0B16A", "#989277", "#737475", "#51586D", "#263D6E", "#00224E"),
            ("#4A536C", "#666970", "#817F78", "#9E9676", "#BEAF6B", "#DFCA57", "#FEE838"),
            strict=True,
        )
    )
}
CONTRAST = 3.0  # of a line with the background: required by WCAG 2.2 for graphics


def paint(colour: str) -> str:
    """Return the CSS variable for a colour #rrggbb, so that the style sheet decides."""
    return f"var({_property(colour)})"


def style_rules(colours: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the value of each custom property, for the backgrounds "light" and "dark"."""
    chosen = sorted(set(colours))
    return {paper: {_property(colour): readable(colour, paper) for colour in chosen} for paper in PAPER}


def readable(colour: str, paper: str) -> str:
    """Return a colour, mixed with the opposite of the background until the contrast suffices."""
    target = 0 if paper == "light" else 255
    parts = _parts(colour)
    for step in range(11):
        mixed = [part + (target - part) * step / 10 for part in parts]
        if _contrast(mixed, _parts(PAPER[paper])) >= CONTRAST:
            break
    return "#" + "".join(f"{round(part):02X}" for part in mixed)


def _property(colour: str) -> str:
    return f"--arm-{colour.removeprefix('#').upper()}"


def _parts(colour: str) -> list[float]:
    return [float(int(colour[start : start + 2], 16)) for start in (1, 3, 5)]


def _contrast(one: list[float], other: list[float]) -> float:
    """Return the contrast ratio of WCAG 2.2, from 1 to 21."""
    low, high = sorted(map(_luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(parts: list[float]) -> float:
    shares = [part / 255 for part in parts]
    red, green, blue = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
