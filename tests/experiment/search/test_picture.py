"""The landscape of a search: what is drawn for one, two and more coefficients."""

import numpy as np
import pytest
from PIL import Image

from tests.experiment.searches import write_search
from wconv.experiment.runs.search_history import read_search
from wconv.experiment.search.picture import draw, landscape

UNCOUNTED = {0: "failed", 2: "pruned"}
THREE = ("k7[0]", "k7[1]", "k7[2]")


def drawn(folder) -> dict:
    """Return the lines of the figure by their label."""
    return {line.get_label(): line for line in landscape(read_search(folder)).axes[0].lines}


def test_one_coefficient_is_a_curve_with_a_band_and_references(tmp_path):
    folder = write_search(tmp_path / "search", statuses=UNCOUNTED)
    search, lines = read_search(folder), drawn(folder)
    assert lines["mean"].get_ydata() == pytest.approx(search.counted.sort_values("k3[0]")["mean"].tolist())
    assert list(lines["failed"].get_xdata()) == [search.evaluations.loc[0, "k3[0]"]]
    assert list(lines["pruned"].get_xdata()) == [search.evaluations.loc[2, "k3[0]"]]
    assert list(lines["standard (1)"].get_xdata()) == [1, 1]
    assert list(lines["published (0.7)"].get_xdata()) == [0.7, 0.7]
    assert lines["best"].get_ydata() == [search.best["mean"]]
    [band] = landscape(search).axes[0].collections
    edges = band.get_paths()[0].vertices[:, 1]
    assert (edges.min(), edges.max()) == pytest.approx((search.counted["low"].min(), search.counted["high"].max()))


def test_one_seed_has_no_band(tmp_path):
    folder = write_search(tmp_path / "search", seeds=[0])
    assert "one seed" in drawn(folder)
    assert not landscape(read_search(folder)).axes[0].collections


def test_two_coefficients_are_a_map_with_the_points_on_it(tmp_path):
    folder = write_search(tmp_path / "search", ("k5[0]", "k5[1]"), points=20, statuses=UNCOUNTED)
    search, figure = read_search(folder), landscape(read_search(folder))
    axes, bar = figure.axes
    mesh, points = axes.collections
    assert np.isfinite(mesh.get_array().filled(np.nan)).sum() > 1000
    assert points.get_array().tolist() == pytest.approx(search.counted["mean"].tolist())
    assert (points.norm.vmin, points.norm.vmax) == search.colour_range
    assert bar.get_ylabel() == "validation accuracy (%)"
    marks = {line.get_label(): line.get_xydata()[0].tolist() for line in axes.lines}
    assert (marks["standard"], marks["published"]) == ([1, 1], [0.2, 0.8])
    assert marks["best"] == search.best[["k5[0]", "k5[1]"]].tolist()
    assert {"failed", "pruned"} <= marks.keys()


def test_more_coefficients_are_a_line_an_evaluation(tmp_path):
    folder = write_search(tmp_path / "search", THREE, points=10, statuses=UNCOUNTED)
    search, figure = read_search(folder), landscape(read_search(folder))
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == list(THREE)
    lines = drawn(folder)
    assert lines["best"].get_ydata().tolist() == search.best[list(THREE)].tolist()
    assert lines["published"].get_ydata() == pytest.approx([0.25, 0.15, 0.55])
    evaluated = [line for line in axes.lines if line.get_linewidth() == 1.3]
    assert len(evaluated) == 8
    assert evaluated[-1].get_ydata().tolist() == search.best[list(THREE)].tolist()  # the best on top


@pytest.mark.parametrize("names", [("k3[0]",), ("k5[0]", "k5[1]"), THREE])
@pytest.mark.parametrize("statuses", [{}, {0: "failed"}])
@pytest.mark.parametrize("seeds", [[0], [0, 1]])
def test_a_single_evaluation_is_drawn(tmp_path, names, statuses, seeds):
    folder = write_search(tmp_path / "search", names, points=1, statuses=statuses, seeds=seeds)
    draw(folder, tmp_path / "new" / "picture.png")
    assert len(np.unique(np.asarray(Image.open(tmp_path / "new" / "picture.png")))) > 10


@pytest.mark.parametrize(("metric", "best_is_dark"), [("val/acc", "max"), ("val/loss", "min")])
def test_the_best_values_are_dark(tmp_path, metric, best_is_dark):
    folder = write_search(tmp_path / "search", THREE, points=10, seeds=[0], settings={"metric": metric})
    search = read_search(folder)
    lines = [line for line in landscape(search).axes[0].lines if line.get_linewidth() == 1.3]
    first, last = (sum(line.get_color()[:3]) for line in (lines[0], lines[-1]))
    assert search.metric.best == best_is_dark
    assert first > last
