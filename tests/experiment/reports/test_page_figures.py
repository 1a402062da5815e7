"""The data of the figures of a page: curves, densities, kernels, crops, colours."""

import base64
import io

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from tests.experiment.reports.finished_runs import write_checkpoint, write_panel, write_run
from wconv.experiment.reports.comparison import Comparison
from wconv.experiment.reports.page.content import make_part
from wconv.experiment.reports.page.costs import cost_figure
from wconv.experiment.reports.page.crops import SIDE, crops, psnr
from wconv.experiment.reports.page.curves import NAMED, POINTS, curve_figures
from wconv.experiment.reports.page.densities import density_maps, movement_figures
from wconv.experiment.reports.page.kernels import first_kernels
from wconv.experiment.reports.page.palette import CONTRAST, PAPER, _contrast, _parts, readable
from wconv.experiment.reports.panels import GAP, split_panel
from wconv.experiment.runs import arm_styles
from wconv.experiment.runs.saved_runs import find_runs


@pytest.fixture
def part_of(tmp_path):
    return lambda: make_part(Comparison(find_runs([tmp_path])), None)


def test_curves_are_means_with_bands_in_shown_units(tmp_path, part_of):
    for seed, values in enumerate(([0.2, 0.4], [0.4, 0.5])):
        folder = write_run(tmp_path / str(seed), seed=seed)
        pd.DataFrame({"epoch": [0, 1], "val/acc": values}).to_csv(folder / "metrics.csv", index=False)
    [figure] = curve_figures(part_of())["Validation accuracy (%)"]
    data = figure.spec["datasets"]
    assert (data["lines"][0]["epoch"], data["lines"][0]["value"]) == ([1, 2], [30.0, 45.0])
    assert (data["bands"][0]["value"], data["bands"][0]["high"]) == ([20.0, 40.0], [40.0, 50.0])
    assert "dots" not in data
    assert [row.cells for row in figure.table.rows] == [("standard", "2", "30.00", "45.00", "40.00 to 50.00")]


@pytest.mark.parametrize(("epochs", "ticks"), [(1, 1), (2, 1), (3, 2), (6, 5), (40, 5)])
def test_no_label_of_an_epoch_is_repeated(tmp_path, part_of, epochs, ticks):
    """With one tick more, the axis of three epochs would read 1, 2, 2, 3, 3."""
    write_run(tmp_path / "run", epochs=epochs)
    [figure] = curve_figures(part_of())["Validation accuracy (%)"]
    assert {layer["encoding"]["x"]["axis"]["tickCount"] for layer in figure.spec["layer"]} == {ticks}


def test_a_curve_of_one_epoch_is_a_dot(tmp_path, part_of):
    write_run(tmp_path / "run", epochs=1)
    for [figure] in curve_figures(part_of()).values():
        [dot] = figure.spec["datasets"]["dots"]
        assert [dot["epoch"]] == figure.spec["datasets"]["lines"][0]["epoch"]
        assert any(layer["mark"]["type"] == "point" and layer["mark"]["opacity"] == 1 for layer in figure.spec["layer"])


def test_long_curves_are_thinned_to_what_a_screen_shows(tmp_path, part_of):
    write_run(tmp_path / "run", epochs=1000)
    [figure] = curve_figures(part_of())["Validation accuracy (%)"]
    epochs = figure.spec["datasets"]["lines"][0]["epoch"]
    assert len(epochs) == POINTS
    assert (epochs[0], epochs[-1]) == (1, 1000)
    assert len(figure.table.columns) < 15


def test_a_run_that_has_diverged_gets_a_line_of_its_own(tmp_path, part_of):
    write_run(tmp_path / "0")
    folder = write_run(tmp_path / "1", seed=1, results={"metrics": {"test/acc": None}})
    (folder / "metrics.csv").write_text("epoch,val/acc\n0,0.3\n1,0.1\n2,nan\n")
    [figure] = curve_figures(part_of())["Validation accuracy (%)"]
    data = figure.spec["datasets"]
    assert len(data["lines"]) == 1
    assert data["diverged"][0]["value"] == [30.0, 10.0]
    assert (data["crosses"][0]["epoch"], data["crosses"][0]["value"]) == (2, 10.0)


def test_names_at_the_ends_do_not_lie_on_each_other(tmp_path, part_of):
    for place in range(NAMED):
        write_run(tmp_path / str(place), conv=f"arm{place}")
    [figure] = curve_figures(part_of())["Validation accuracy (%)"]
    spec = figure.spec
    values = sorted(end["value"] for end in spec["datasets"]["ends"])
    low, high = next(layer["encoding"]["y"]["scale"]["domain"] for layer in spec["layer"])
    assert len(values) == NAMED
    assert np.diff(values).min() * spec["height"] / (high - low) > 13
    assert low <= values[0]
    assert values[-1] <= high


def test_losses_of_several_magnitudes_have_a_logarithmic_axis(tmp_path, part_of):
    folder = write_run(tmp_path / "run")
    (folder / "metrics.csv").write_text("epoch,val/loss\n0,5\n1,0.5\n2,0.004\n")
    [figure] = curve_figures(part_of())["Validation loss"]
    encoded = figure.spec["layer"][0]["encoding"]["y"]
    assert encoded["scale"]["type"] == "log"
    assert encoded["axis"]["values"] == pytest.approx([0.01, 0.1, 1])


def test_costs_and_the_metric(tmp_path, part_of):
    for seed in range(2):
        write_run(tmp_path / str(seed), seed=seed)
    figure = cost_figure(part_of())
    [point] = figure.spec["datasets"]["points"]
    assert point["seconds"] == 100.5
    assert point["macs"] == 2_000_000
    assert point["low"] < point["value"] < point["high"]
    assert list(figure.choices) == ["seconds", "peak_memory_mb", "parameters", "macs"]


def test_trained_densities_by_layer(tmp_path, part_of):
    layers = [{"name": f"l{i}", "kernel_size": [3, 3], "density": [[0.5], [0.5]], "trainable": True} for i in (0, 1)]
    for seed in range(2):
        folder = write_run(tmp_path / str(seed), conv="trainable", seed=seed, results={"layers": layers})
        rows = {"epoch": [0, 1], "density/l0/0": [0.71, 0.8 + seed / 10], "density/l1/0": [0.7, 0.6]}
        pd.DataFrame(rows).to_csv(folder / "metrics.csv", index=False)
    [figure] = movement_figures(part_of())
    first, second = figure.spec["datasets"]["rows"]
    assert (first["layer"], first["start"], first["low"], first["high"]) == ("l0", 0.7, 0.8, 0.9)
    assert first["value"] == pytest.approx(0.85)
    assert (second["layer"], second["value"]) == ("l1", 0.6)
    assert "Farthest: l0, from 0.700 to 0.850" in figure.description
    [density], more = density_maps([part_of()])
    assert density.rows[0] == [("0.49", 49), ("0.7", 70), ("0.49", 49)]
    assert more == 0


def test_trained_densities_of_single_layers_start_where_these_do(tmp_path, part_of):
    layers = [{"name": f"l{i}", "kernel_size": [3, 3], "density": [[0.6], [0.6]], "trainable": True} for i in (0, 1)]
    folder = write_run(tmp_path / "run", conv="trainable", results={"layers": layers, "layer_density": {"l1": [0.5]}})
    rows = {"epoch": [0, 1], "density/l0/0": [0.71, 0.6], "density/l1/0": [0.51, 0.6]}
    pd.DataFrame(rows).to_csv(folder / "metrics.csv", index=False)
    [figure] = movement_figures(part_of())
    assert [row["start"] for row in figure.spec["datasets"]["rows"]] == [0.7, 0.5]


def pixels(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,")))))


def test_kernels_before_and_after_the_density(tmp_path, part_of):
    kernels = torch.full((2, 3, 3, 3), 0.5)
    kernels[1] = -1.0
    for conv in ("standard", "weighted"):
        write_checkpoint(write_run(tmp_path / conv, conv=conv), kernels)
    standard, weighted = first_kernels([part_of()])
    assert standard.after == ""
    before, after = pixels(weighted.before), pixels(weighted.after)
    assert before.shape == (3, 7, 4)  # two kernels, a pixel apart
    assert before[1, 1].tolist() == [191, 191, 191, 255]  # half of the largest weight
    assert before[1, 5, 0] == 0
    assert after[0, 0, 0] == round(127.5 * (1 + 0.5 * 0.49))
    assert after[1, 1, 0] == before[1, 1, 0]
    assert before[1, 3, 3] == 0  # nothing between them
    cells = weighted.table.rows[0].cells
    assert cells == ["1, 1", f"{np.sqrt(0.625):.4f}", "0.49", f"{0.49 * np.sqrt(0.625):.4f}"]


@pytest.mark.parametrize("damage", ["cut off", "another layer", "not finite"])
def test_a_checkpoint_without_such_kernels_is_passed_over(tmp_path, part_of, damage):
    run = write_run(tmp_path / "run", conv="weighted")
    write_checkpoint(run, torch.full((1, 1, 3, 3), float("inf" if damage == "not finite" else "1")))
    file = run / "checkpoints" / "best.ckpt"
    if damage == "cut off":
        file.write_bytes(file.read_bytes()[:-100])
    if damage == "another layer":
        torch.save({"global_step": 1, "state_dict": {}}, file)
    assert first_kernels([part_of()]) == []


def test_a_panel_is_cut_apart_as_it_was_put_together(tmp_path):
    images = [torch.rand(1, 3, 40, 60) for _ in range(3)]
    run = write_run(tmp_path / "run")
    write_panel(run, "set-a", images)
    parts = split_panel(Image.open(run / "images" / "set-a.png"), 4)
    for part, image in zip(parts, images, strict=False):
        assert (np.asarray(part) == (image[0] * 255).round().byte().permute(1, 2, 0).numpy()).all()
    with pytest.raises(ValueError, match="no panel of 4 images"):
        split_panel(Image.new("RGB", (4 * 60 + 3 * GAP + 1, 80)), 4)


def test_crops_go_from_noisy_over_the_arms_to_clean(tmp_path, part_of):
    clean = torch.full((1, 1, 200, 300), 0.5)
    noisy = clean + 0.1
    for conv, error in (("standard", 0.05), ("weighted", 0.02)):
        run = write_run(tmp_path / conv, conv=conv, model="dncnn", task="denoising")
        write_panel(run, "set-a", [clean, noisy, clean + error])
        write_panel(run, f"other-{conv}", [clean + error, noisy, clean])
    (tmp_path / "standard" / "images" / "set-damaged.png").write_bytes(b"no picture")
    Image.new("RGB", (50, 50)).save(tmp_path / "standard" / "images" / "set-foreign.png")
    crop, *_ = crops(part_of())
    assert [view.name for view in crop.views] == ["noisy", "dncnn: standard", "dncnn: weighted", "clean"]
    assert pixels(crop.views[0].picture).shape == (SIDE, SIDE)  # grey
    levels = [int(pixels(view.picture)[0, 0]) for view in crop.views]
    assert levels == [153, 140, 133, 128]
    assert [view.psnr for view in crop.views] == [
        *(f"{20 * np.log10(255 / (level - 128)):.2f} dB" for level in levels[:3]),
        "",
    ]
    assert psnr(crop.clean, crop.clean) == np.inf


def test_colours_can_be_seen_on_either_paper():
    for colour in [*(arm.colour for arm in arm_styles.ARMS), *arm_styles.SPARE, "#FFFFFF", "#16181D"]:
        for paper, background in PAPER.items():
            assert _contrast(_parts(readable(colour, paper)), _parts(background)) >= CONTRAST
    assert readable("#0072B2", "light") == "#0072B2"
    assert readable("#000000", "dark") > "#555555"
