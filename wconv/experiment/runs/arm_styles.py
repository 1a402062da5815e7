"""The arms of a comparison: their order, and the colour that each keeps in every figure.

The colours are told apart with any colour vision (the smallest CIEDE2000 difference between two of them, also as seen
without one of the three cones, is 12; within Okabe & Ito's palette it is 10.9). Blue and vermilion are Okabe & Ito's.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Arm:
    """One way to make and train the convolutions of a network.

    Attributes:
        name: as in `conv=name`.
        colour: as #rrggbb.
        explanation: what it is, in a line.
    """

    name: str
    colour: str
    explanation: str


ARMS = (  # in the order of tables and legends
    Arm("standard", "#0072B2", "nn.Conv2d as it is"),
    Arm("weighted", "#D55E00", "kernels multiplied by a fixed density"),
    Arm("trainable", "#CC79A7", "kernels multiplied by a density that is trained, too"),
    Arm("scaled_init", "#009E73", "the control: standard convolutions that start from W * Phi"),
)
# For arms without an entry; an arm that gets one takes its colour from here.
SPARE = ("#BCBD22", "#332288", "#90D0B0", "#000000", "#7B4F2C", "#B8A0E0", "#661100", "#555555")

TONES = (0.0, 0.45, -0.4)  # of the variants of an arm: as it is, lighter, darker
MARKERS = ("", "o", "s", "^", "D", "v", "P", "X", "<", ">")


@dataclass(frozen=True)
class LineStyle:
    """How the lines of one variant of an arm are drawn; dashes are left to tell training from validation.

    Attributes:
        colour: a tone of the arm's colour.
        marker: of Matplotlib; "" for none.
    """

    colour: str
    marker: str = ""


def rank(name: str) -> tuple[int, str]:
    """Return what arms are sorted by: those with an entry in its order, the others by name behind them."""
    names = [arm.name for arm in ARMS]
    return (names.index(name) if name in names else len(names), name)


def colours(names: Iterable[str]) -> dict[str, str]:
    """Return the colour of each arm.

    An arm without an entry gets one of the spare colours, by its place among those in alphabetical order.
    """
    known = {arm.name: arm.colour for arm in ARMS}
    others = sorted(set(names) - known.keys())
    return known | {name: SPARE[place % len(SPARE)] for place, name in enumerate(others)}


def variant(colour: str, place: int) -> LineStyle:
    """Return the style of a variant of an arm, such as another density, by its place among the variants.

    The first one is drawn in the arm's colour; the others have tones of it and markers.
    """
    return LineStyle(_tone(colour, TONES[place % len(TONES)]), MARKERS[place % len(MARKERS)])


def _tone(colour: str, amount: float) -> str:
    """Mix a colour with white (amount > 0) or black (amount < 0)."""
    target = 255 if amount > 0 else 0
    parts = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return "#" + "".join(f"{round(part + abs(amount) * (target - part)):02X}" for part in parts)
