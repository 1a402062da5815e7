"""The arms of a comparison: their order in tables, and a fixed colour for each in all figures.

The colours are distinguishable with any colour vision: the smallest CIEDE2000 difference between two of them, even if
one of the three cones is missing, is 12 (10.9 in Okabe & Ito's palette). Blue and vermilion are Okabe & Ito's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Arm:
    """One way to make and train the convolutions of a network.

    Attributes:
        name: as in `conv=name`, or as returned by `arm_name` for a combination of `conv=ablation`.
        colour: as #rrggbb.
        explanation: a description in one line.
    """

    name: str
    colour: str
    explanation: str


ARMS = (  # in the order of tables and legends
    Arm("standard", "#0072B2", "plain nn.Conv2d"),
    Arm("weighted", "#D55E00", "kernels multiplied by a fixed density"),
    Arm("trainable", "#CC79A7", "kernels multiplied by a density that is trained, too"),
    Arm("scaled_init", "#009E73", "the control: standard convolutions that start from W * Phi"),
    Arm("step", "#332288", "standard, with the step sizes of weighted ones"),
    Arm("decay", "#90D0B0", "standard, with the weight decay of weighted ones"),
    Arm("start + step", "#000000", "weighted, with the weight decay of standard ones"),
    Arm("start + decay", "#7B4F2C", "weighted, with the step sizes of standard ones"),
    Arm("step + decay", "#B8A0E0", "weighted, from the start of standard ones"),
    Arm("scale", "#661100", "standard, from W scaled to the size of W * Phi"),
    Arm("shape", "#555555", "standard, from W * Phi scaled back to the size of W"),
    Arm("ablation", "#8F7AFF", "any of the start, the step sizes and the weight decay of weighted ones"),
)
# Three combinations of conv=ablation are bit-identical to other arms, and are shown under their names.
SAME = {(): "standard", ("start",): "scaled_init", ("start", "step", "decay"): "weighted"}
# For arms without an entry; move a colour from here when an arm gets one.
SPARE = ("#BCBD22", "#3300EB", "#3D0033")

PARTS = ("start", "step", "decay")  # the keys of conv=ablation

TONES = (0.0, 0.45, -0.4)  # of the variants of an arm: unchanged, lighter, darker
MARKERS = ("", "o", "s", "^", "D", "v", "P", "X", "<", ">")


@dataclass(frozen=True)
class LineStyle:
    """The line style of a variant of an arm; dashes are reserved for training against validation.

    Attributes:
        colour: a tone of the arm's colour.
        marker: of Matplotlib; "" for none.
    """

    colour: str
    marker: str = ""


def arm_name(conv: Mapping[str, Any]) -> str:
    """Return the name of an arm in tables and figures; for an ablation, its parts ("start + decay").

    Args:
        conv: the config group `conv`.
    """
    if not conv.keys() >= set(PARTS):
        return str(conv["name"])
    start = {"none": (), "phi": ("start",)}.get(conv["start"], (str(conv["start"]),))
    parts = (*start, *(part for part in ("step", "decay") if conv[part]))
    return SAME.get(parts, " + ".join(parts))


def combined_parts(name: str) -> frozenset[str] | None:
    """Return which of start, step and decay an arm combines, from its name; None for other arms."""
    others = {same: parts for parts, same in SAME.items()}
    parts = frozenset(others.get(name, name.split(" + ")))
    return parts if parts <= set(PARTS) else None


def rank(name: str) -> tuple[int, str]:
    """Return the sort key of an arm: arms with an entry in its order, then the others by name."""
    names = [arm.name for arm in ARMS]
    return (names.index(name) if name in names else len(names), name)


def colours(names: Iterable[str]) -> dict[str, str]:
    """Return the colour of each arm.

    Arms without an entry get the spare colours, in alphabetical order.
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
