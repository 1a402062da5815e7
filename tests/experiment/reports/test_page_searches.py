"""The section of a page about searches: what its figures are drawn from, and the tables behind them."""

import json

import pandas as pd
import pytest

from tests.experiment.reports.finished_runs import write_run
from tests.experiment.reports.test_page import HOSTILE, Parsed
from tests.experiment.searches import write_search
from wconv.experiment.reports.page.searches import CELLS, landscapes
from wconv.experiment.runs.search_history import read_search

THREE = ("k7[0]", "k7[1]", "k7[2]")
UNCOUNTED = {0: "failed", 2: "pruned"}


def data_of(folder) -> dict:
    [found], [] = landscapes([folder])
    json.dumps(found.figure.spec, allow_nan=False)
    return found.figure.spec["datasets"]


def test_a_curve_has_means_bands_and_references(tmp_path):
    folder = write_search(tmp_path / "search", statuses=UNCOUNTED)
    search, data = read_search(folder), data_of(folder)
    counted = search.counted.sort_values("k3[0]")
    assert [row["value"] for row in data["means"]] == pytest.approx(counted["mean"].tolist())
    assert [row["high"] for row in data["means"]] == pytest.approx(counted["high"].tolist())
    assert len(data["seeds"]) == 21
    assert {row["name"]: row["x"] for row in data["references"]} == {"standard": 1, "published": 0.7}
    assert [row["name"] for row in data["marks"]] == ["failed", "pruned", "best"]
    assert ["value" in row for row in data["marks"]] == [False, False, True]


def test_a_curve_of_one_seed_has_no_points_beside_it(tmp_path):
    assert data_of(write_search(tmp_path / "search", seeds=[0]))["seeds"] == []


def test_a_map_has_points_on_what_lies_between_them(tmp_path):
    folder = write_search(tmp_path / "search", ("k5[0]", "k5[1]"), points=20, statuses=UNCOUNTED)
    search, data = read_search(folder), data_of(folder)
    assert len(data["points"]) == 18
    assert 200 < len(data["cells"]) < CELLS**2
    low, high = search.counted["mean"].min(), search.counted["mean"].max()
    assert all(low <= cell["value"] <= high for cell in data["cells"])
    places = {mark["name"]: (mark["x"], mark["y"]) for mark in data["marks"]}
    assert (places["standard"], places["published"]) == ((1, 1), (0.2, 0.8))
    assert places["best"] == tuple(search.best[["k5[0]", "k5[1]"]])


def test_more_coefficients_are_lines_with_the_best_on_top(tmp_path):
    folder = write_search(tmp_path / "search", THREE, points=10, statuses=UNCOUNTED)
    search, data = read_search(folder), data_of(folder)
    assert len(data["lines"]) == 8 * 3
    assert {row["evaluation"] for row in data["uncounted"]} == {0, 2}
    top = [row for row in data["lines"] if row["evaluation"] == search.best.name]
    assert [row["y"] for row in data["best"]] == [row["y"] for row in top] == search.best[list(THREE)].tolist()
    assert [row["y"] for row in data["published"]] == [0.25, 0.15, 0.55]
    assert [(row["y"], row["y2"]) for row in data["bounds"]] == [(0.05, 0.5), (0.15, 1.0), (0.25, 1.5)]


@pytest.mark.parametrize("metric", ["val/acc", "val/loss"])
def test_the_table_has_the_best_first_and_what_was_not_counted_last(tmp_path, metric):
    folder = write_search(tmp_path / "search", statuses=UNCOUNTED, settings={"metric": metric})
    [found], [] = landscapes([folder])
    rows = [row.cells for row in found.figure.table.rows]
    assert rows[0][0] == str(read_search(folder).best.name)
    assert [row[-1] for row in rows] == ["completed"] * 7 + ["failed", "pruned"]
    assert [row[2] for row in rows[-2:]] == ["-", "-"]
    assert found.figure.description.endswith(f"{found.summary}.")


@pytest.mark.parametrize("names", [("k3[0]",), ("k5[0]", "k5[1]"), THREE])
@pytest.mark.parametrize("statuses", [{}, {0: "failed"}])
def test_a_single_evaluation_makes_a_figure(tmp_path, names, statuses):
    assert data_of(write_search(tmp_path / "search", names, points=1, seeds=[0], statuses=statuses))


def test_the_page_shows_the_searches_below_its_folders_and_says_what_it_cannot_read(make_page, tmp_path):
    write_run(tmp_path / "runs" / "one")
    without = Parsed(make_page(tmp_path / "runs"))
    assert "search" not in {element.get("id") for element in without.elements}
    write_search(tmp_path / "runs" / "searches" / "first")
    damaged = write_search(tmp_path / "runs" / "searches" / "second")
    (damaged / "history.csv").write_text("a,b\n1,2\n")
    page = Parsed(make_page(tmp_path / "runs"))
    [section] = [element for element in page.elements if element.get("id") == "search"]
    assert "9 evaluations by direct_l; best at k3[0]" in section["text"]
    assert "Not shown:" in section["text"]
    assert "history.csv has no column evaluation" in section["text"]
    assert "#search" in {element.get("href") for element in page.elements}


def test_texts_of_a_search_stay_texts(make_page, tmp_path):
    write_run(tmp_path / "runs" / "one")
    folder = write_search(tmp_path / "runs" / "search", points=3, settings={"name": HOSTILE})
    frame = pd.read_csv(folder / "history.csv")
    name = HOSTILE.replace("\n", "") + ".k3[0]"
    frame.rename(columns={"k3[0]": name}).to_csv(folder / "history.csv", index=False)
    page = Parsed(make_page(tmp_path / "runs"))
    assert not [element for element in page.elements if element["tag"] == "img"]
    assert any("alert(1)" in text and "k3[0]" in text for text in page.texts("th"))
