from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

import wconv.density
from wconv.experiment.reports import density_maps
from wconv.experiment.reports.comparison import Comparison
from wconv.experiment.reports.curves import _choose_scale, draw_comparison, draw_run
from wconv.experiment.reports.histories import read_history
from wconv.experiment.runs.saved_runs import SavedRun

MakeRun = Callable[..., SavedRun]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    def make(
        name: str,
        conv: str = "weighted",
        accuracy: Sequence[float] = (0.1, 0.3, 0.4),
        metric: str = "acc",
        seed: int = 0,
        k3: float = 0.7,
        metrics: dict[str, float] | None = None,
        **features: Any,
    ) -> SavedRun:
        folder = tmp_path / name
        folder.mkdir()
        columns: dict[str, Any] = {"epoch": range(len(accuracy))}
        for split, factor in (("train", 1.1), ("val", 1.0)):
            columns[f"{split}/{metric}"] = [factor * value for value in accuracy]
            columns[f"{split}/loss"] = [1 / value for value in accuracy]
        rows = pd.DataFrame(columns)
        tested = pd.DataFrame([{"epoch": len(accuracy), "test/acc": 0.4}])
        pd.concat([rows, tested]).to_csv(folder / "metrics.csv", index=False)
        weighted = conv == "weighted"
        what = {"model": "vgg", "init": "kaiming", "density": f"k3 {k3}" if weighted else "-", "parameters": 1}
        densities = [("k3", ((k3,), (k3,)))] if weighted else []
        features = what | {"conv": conv} | features
        return SavedRun(folder, "completed", "", seed, metrics or {"test/acc": 0.4}, features, densities)

    return make


def draw(runs: Sequence[SavedRun], path: Path) -> None:
    draw_comparison(Comparison(runs), path)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and bool((one == other).all())


def count(figure: np.ndarray, colour: str) -> int:
    return int((figure == tuple(bytes.fromhex(colour))).all(axis=-1).sum())


def test_picture_of_one_run(tmp_path: Path, make_run: MakeRun) -> None:
    path = tmp_path / "images" / "curves.png"

    draw([make_run("a")], path)

    assert min(pixels(path).shape[:2]) > 400
    assert [file.name for file in path.parent.iterdir()] == ["curves.png"]


def test_same_input_same_figure(tmp_path: Path, make_run: MakeRun) -> None:
    run = make_run("a")
    for name in ("1.png", "2.png"):
        draw([run], tmp_path / name)

    assert (tmp_path / "1.png").read_bytes() == (tmp_path / "2.png").read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        {"accuracy": (0.1, 0.2, 0.4)},
        {"accuracy": (0.1, 0.3)},
        {"k3": 0.9},
        {"conv": "standard"},
        {"metric": "psnr"},
        {"init": "pytorch"},
        {"seed": 1},
    ],
    ids=str,
)
def test_other_input_other_figure(change: dict[str, Any], tmp_path: Path, make_run: MakeRun) -> None:
    draw([make_run("a")], tmp_path / "a.png")
    draw([make_run("b", **change)], tmp_path / "b.png")

    assert not same(pixels(tmp_path / "a.png"), pixels(tmp_path / "b.png"))


def test_every_arm_has_its_colour(tmp_path: Path, make_run: MakeRun) -> None:
    standard, weighted = make_run("s", "standard"), make_run("w", accuracy=(0.2, 0.4, 0.5))
    draw([standard], tmp_path / "one.png")
    draw([weighted, standard], tmp_path / "two.png")

    assert count(pixels(tmp_path / "one.png"), "0072B2")
    assert not count(pixels(tmp_path / "one.png"), "D55E00")
    assert count(pixels(tmp_path / "two.png"), "0072B2")
    assert count(pixels(tmp_path / "two.png"), "D55E00")


def test_an_arm_keeps_its_colour_whatever_it_is_compared_with(tmp_path: Path, make_run: MakeRun) -> None:
    """The four arms of configs/sweep/paper.yaml, and one of a user."""
    arms = {
        "standard": "0072B2",
        "weighted": "D55E00",
        "trainable": "CC79A7",
        "scaled_init": "009E73",
        "mine": "BCBD22",
    }
    runs = {arm: make_run(arm, arm, accuracy=(0.1, 0.2, 0.3 + place / 20)) for place, arm in enumerate(arms)}
    draw(list(runs.values()), tmp_path / "all.png")
    for arm, colour in arms.items():
        draw([runs[arm]], tmp_path / f"{arm}.png")
        assert count(pixels(tmp_path / f"{arm}.png"), colour) > 100
        assert count(pixels(tmp_path / "all.png"), colour) > 100


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[Axes]]:
    """Return a function that draws and returns the panels."""
    figures: list[Figure] = []
    save = Figure.savefig

    def savefig(self: Figure, *args: Any, **kwargs: Any) -> None:
        figures.append(self)
        save(self, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", savefig)

    def call(*runs: SavedRun) -> list[Axes]:
        draw(runs, tmp_path / "drawn.png")
        return figures[-1].axes

    return call


def solid(panel: Axes) -> list[list[float]]:
    return [[*line.get_ydata()] for line in panel.lines if line.get_linestyle() == "-"]


def test_mean_and_band_are_of_the_runs_that_have_not_diverged(
    drawn: Callable[..., list[Axes]], make_run: MakeRun
) -> None:
    nan = float("nan")
    panels = drawn(
        make_run("a", accuracy=(0.2, 0.4), seed=0),
        make_run("b", accuracy=(0.8, nan), seed=1, metrics={"test/acc": nan}),
        make_run("c", accuracy=(0.4, 0.6), seed=2),
    )

    assert solid(panels[0]) == [pytest.approx([30, 50])]
    (band,) = panels[0].collections
    assert band.get_datalim(panels[0].transData).intervaly == pytest.approx([20, 60])
    (dotted,) = [line for line in panels[0].lines if line.get_linestyle() == ":"]
    assert [*dotted.get_ydata()] == pytest.approx([80])
    (figure,) = {panel.get_figure() for panel in panels}
    assert figure.get_suptitle() == "vgg, kaiming, seeds 0, 2, 1 run diverged"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "weighted",
        "validation",
        "training",
        "diverged run",
    ]


def test_a_mean_is_drawn_where_all_runs_have_a_value(drawn: Callable[..., list[Axes]], make_run: MakeRun) -> None:
    panels = drawn(
        make_run("a", accuracy=(0.2, 0.4, 0.5), seed=0), make_run("b", accuracy=(0.4, float("inf"), 0.7), seed=1)
    )
    assert solid(panels[0]) == [pytest.approx([30, 60])]


def test_variants_of_an_arm_share_its_hue_and_training_is_dashed(
    drawn: Callable[..., list[Axes]], make_run: MakeRun
) -> None:
    panels = drawn(*(make_run(f"{k}", k3=k / 10, density=f"k3 {k / 10}") for k in (5, 7, 9)))
    lines = [(line.get_linestyle(), line.get_color(), line.get_marker()) for line in panels[0].lines]
    styles = [("#D55E00", ""), ("#E8A673", "o"), ("#803800", "s")]
    assert lines == [(dashes, *style) for style in styles for dashes in ("--", "-")]


def test_a_single_run_needs_no_comparison(tmp_path: Path, make_run: MakeRun) -> None:
    for name, metrics in (("sound", None), ("diverged", {"test/acc": float("nan")})):
        run = make_run(name, metrics=metrics)
        draw_run(run, tmp_path / f"{name}.png")
        draw([run], tmp_path / f"{name}-compared.png")
    sound, diverged = pixels(tmp_path / "sound.png"), pixels(tmp_path / "diverged.png")
    assert same(sound, pixels(tmp_path / "sound-compared.png"))
    assert not same(sound, diverged)


def test_seeds_share_a_line_with_a_band(tmp_path: Path, make_run: MakeRun) -> None:
    middle = make_run("m", accuracy=(0.2, 0.3, 0.4), seed=1)
    wide = [make_run("lo", accuracy=(0.1, 0.2, 0.3)), middle, make_run("hi", accuracy=(0.3, 0.4, 0.5), seed=2)]
    narrow = [make_run(f"n{seed}", accuracy=(0.2, 0.3, 0.4), seed=seed) for seed in range(3)]
    draw(wide, tmp_path / "wide.png")
    draw(narrow, tmp_path / "narrow.png")

    # A fifth of D55E00 over white is the band; the edge of a line may have that colour here and there.
    assert count(pixels(tmp_path / "wide.png"), "F6DECC") > 1000
    assert count(pixels(tmp_path / "narrow.png"), "F6DECC") < 100


def test_many_groups_have_panels_by_backbone(tmp_path: Path, make_run: MakeRun) -> None:
    runs = [
        make_run(f"{conv}{init}{norm}", conv, init=init, **{"model.batch_norm": norm})
        for conv in ("standard", "weighted")
        for init in ("kaiming", "pytorch")
        for norm in (True, False)
    ]
    draw(runs[:4], tmp_path / "few.png")
    draw(runs, tmp_path / "many.png")

    few, many = pixels(tmp_path / "few.png"), pixels(tmp_path / "many.png")
    assert many.shape[0] > few.shape[0]  # the loss is below
    # Tones of blue and vermilion: 45% of the way to white.
    assert all(count(many, colour) for colour in ("0072B2", "D55E00", "73B1D5", "E8A673"))


def test_more_arms_and_densities_than_there_is_room(tmp_path: Path, make_run: MakeRun) -> None:
    draw([make_run(f"{k}", k3=k / 10, density=f"k3 {k / 10}") for k in range(3, 12)], tmp_path / "a.png")

    assert min(pixels(tmp_path / "a.png").shape[:2]) > 400


def test_infinite_and_missing_values(tmp_path: Path, make_run: MakeRun) -> None:
    draw([make_run("a", accuracy=(0.1, float("inf"), float("nan"), 0.3))], tmp_path / "a.png")

    assert count(pixels(tmp_path / "a.png"), "D55E00")


def test_global_state_is_left_alone(tmp_path: Path, make_run: MakeRun) -> None:
    before = dict(matplotlib.rcParams)

    draw([make_run("a")], tmp_path / "a.png")

    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("content", [None, "", "step\n1\n"], ids=["missing", "empty", "no epochs"])
def test_a_run_without_epochs_is_named(content: str | None, tmp_path: Path, make_run: MakeRun) -> None:
    run = make_run("a")
    (run.folder / "metrics.csv").unlink()
    if content is not None:
        (run.folder / "metrics.csv").write_text(content)

    with pytest.raises(ValueError, match=r"a/metrics\.csv holds no epochs"):
        draw([run], tmp_path / "a.png")

    assert not (tmp_path / "a.png").exists()


def test_nothing_completed(tmp_path: Path, make_run: MakeRun) -> None:
    run = SavedRun(make_run("a").folder, "failed")

    with pytest.raises(ValueError, match="no completed run"):
        draw([run], tmp_path / "a.png")


def test_epochs_count_from_1(make_run: MakeRun) -> None:
    assert read_history(make_run("a")).index.tolist() == [1, 2, 3, 4]  # the last row is the test's


def test_of_several_validations_in_an_epoch_the_last_one_counts(make_run: MakeRun) -> None:
    run = make_run("a")
    (run.folder / "metrics.csv").write_text("epoch,val/acc\n0,0.1\n0,0.2\n1,0.3\n1,\n")
    assert read_history(run)["val/acc"].tolist() == [0.2, 0.3]


@pytest.mark.parametrize(
    ("losses", "scale"), [((2.0, 1.0), "linear"), ((2.0, 0.01), "log"), ((2.0, -1.0), "linear"), ((np.nan,), "linear")]
)
def test_losses_of_several_orders_of_magnitude_have_a_logarithmic_axis(losses: Sequence[float], scale: str) -> None:
    axes = Figure().subplots()
    axes.plot(losses)
    _choose_scale(axes)
    assert axes.get_yscale() == scale


@pytest.mark.parametrize("taps", [((0.7,),), ((0.7,), (0.7,)), ((0.25, 0.15, 0.55), (0.2, 0.8)), ((0.8,),) * 3])
def test_the_density_that_is_drawn_is_that_of_the_layers(taps):
    assert density_maps.density_function(taps).tolist() == wconv.density.density_function(taps).tolist()
