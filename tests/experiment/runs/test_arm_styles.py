from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from skimage.color import deltaE_ciede2000, rgb2lab

from wconv.experiment.runs.arm_styles import ARMS, SPARE, arm_name, colours, rank, variant

ROOT = Path(__file__).resolve().parents[3]
PALETTE = [*(arm.colour for arm in ARMS), *SPARE]
# How a colour looks without one kind of cone, in linear RGB (Machado, Oliveira & Fernandes 2009, severity 1).
VISION = {
    "normal": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


def seen(colour: str, vision: str) -> np.ndarray:
    """Return a colour in CIELAB as somebody with this vision sees it."""
    rgb = np.array([int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    left = np.clip(np.asarray(VISION[vision]) @ linear, 0, 1)
    return rgb2lab(np.where(left <= 0.0031308, 12.92 * left, 1.055 * left ** (1 / 2.4) - 0.055))


@pytest.mark.parametrize("vision", VISION)
def test_the_colours_are_told_apart_with_any_colour_vision(vision: str) -> None:
    for one, other in combinations(PALETTE, 2):
        assert deltaE_ciede2000(seen(one, vision), seen(other, vision)) > 12, (one, other)


@pytest.mark.parametrize("colour", PALETTE)
def test_the_colours_are_seen_on_white(colour: str) -> None:
    assert seen(colour, "normal")[0] < 80  # lightness; white has 100


def test_every_convolution_that_can_be_chosen_has_an_entry() -> None:
    names = {OmegaConf.load(path).name for path in (ROOT / "configs" / "conv").glob("*.yaml")}
    assert names <= {arm.name for arm in ARMS}
    assert len(SPARE) >= 2  # of a user


def test_standard_is_blue_and_weighted_vermilion() -> None:
    assert (colours([])["standard"], colours([])["weighted"]) == ("#0072B2", "#D55E00")


def test_an_arm_keeps_its_colour_whatever_it_is_compared_with() -> None:
    few, many = colours(["weighted"]), colours(["mine", "yours", "standard", "weighted", "trainable"])
    assert few.items() <= many.items()


def test_arms_without_an_entry_get_the_spare_colours_by_name() -> None:
    one, other = colours(["zeta", "alpha", "weighted"]), colours(["alpha", "weighted", "zeta"])
    assert one == other
    assert (one["alpha"], one["zeta"]) == SPARE[:2]
    assert set(SPARE).isdisjoint(arm.colour for arm in ARMS)


def test_the_order_is_that_of_the_entries_then_by_name() -> None:
    names = ["zeta", "scaled_init", "alpha", "trainable", "weighted", "standard"]
    assert sorted(names, key=rank) == ["standard", "weighted", "trainable", "scaled_init", "alpha", "zeta"]


def test_variants_share_the_hue_and_are_told_apart() -> None:
    styles = [variant("#D55E00", place) for place in range(30)]
    assert (styles[0].colour, styles[0].marker) == ("#D55E00", "")
    assert len(set(styles)) == 30
    assert [style.colour for style in styles[1:3]] == ["#E8A673", "#803800"]  # 45% to white, 40% to black


@pytest.mark.parametrize(
    ("start", "step", "decay", "name"),
    [
        ("none", False, False, "standard"),
        ("phi", True, True, "weighted"),
        ("phi", False, False, "scaled_init"),
        ("phi", False, True, "start + decay"),
        ("none", True, True, "step + decay"),
        ("none", True, False, "step"),
        ("scale", False, False, "scale"),
        ("shape", True, False, "shape + step"),
    ],
)
def test_a_combination_is_called_by_its_parts(start: str, step: bool, decay: bool, name: str) -> None:
    assert arm_name({"name": "ablation", "start": start, "step": step, "decay": decay}) == name


def test_other_arms_are_called_by_their_names() -> None:
    assert arm_name({"name": "mine", "start": 3}) == "mine"
