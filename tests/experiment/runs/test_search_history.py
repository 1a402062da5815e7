"""A search read back: evaluations, their best, the noise of a seed, and files that are none."""

import math

import numpy as np
import pandas as pd
import pytest

from tests.experiment.searches import write_search
from wconv.experiment.runs.search_history import find_searches, read_search


def rewrite(folder, change):
    """Change the table of a search, as a later process does."""
    frame = pd.read_csv(folder / "history.csv")
    change(frame).to_csv(folder / "history.csv", index=False)
    return read_search(folder)


def values(*rows):
    """Return a function that sets the value of (evaluation, seed)."""

    def change(frame):
        for evaluation, seed, value in rows:
            frame.loc[(frame["evaluation"] == evaluation) & (frame["seed"] == seed), "value"] = value
        return frame

    return change


def test_evaluations_are_means_over_seeds_in_shown_units(tmp_path):
    folder = write_search(tmp_path / "search", points=2)
    search = rewrite(folder, values((0, 0, 0.5), (0, 1, 0.6), (0, 2, 0.7), (1, 0, 0.1), (1, 1, 0.1), (1, 2, 0.1)))
    row = search.evaluations.loc[0]
    assert (row["k3[0]"], row["n"], row["status"], row["epochs"]) == (1.0, 3, "completed", 15)
    assert [row[key] for key in ("mean", "low", "high")] == pytest.approx([60, 50, 70])
    assert search.seed_spread == pytest.approx(math.sqrt((100 + 100) / 4))  # points, of 2 and 2 degrees of freedom
    assert search.label == "validation accuracy (%)"
    assert search.bounds == {"k3[0]": (0.3, 1.5)}
    assert search.published == (0.7,)


@pytest.mark.parametrize(("metric", "best"), [("val/acc", 1), ("val/loss", 0)])
def test_the_best_is_that_of_the_metric(tmp_path, metric, best):
    folder = write_search(tmp_path / "search", points=2, seeds=[0], settings={"metric": metric})
    assert rewrite(folder, values((0, 0, 0.5), (1, 0, 0.6))).best.name == best


def test_luck_of_one_seed_is_not_best_where_others_have_more(tmp_path):
    folder = write_search(tmp_path / "search", points=3)
    search = rewrite(folder, lambda frame: values((1, 0, 0.99))(frame.drop(index=[4, 5])))
    assert search.evaluations.loc[1, "n"] == 1
    assert search.best.name != 1


def test_a_seed_that_failed_or_was_pruned_takes_its_evaluation_out(tmp_path):
    search = read_search(write_search(tmp_path / "search", points=4, statuses={0: "failed", 2: "pruned"}))
    assert list(search.evaluations["status"]) == ["failed", "completed", "pruned", "completed"]
    assert list(search.counted.index) == [1, 3]
    assert "4 evaluations by direct_l, 1 failed, 1 pruned; best at k3[0]" in search.summary
    assert "(published 61" in search.summary


def test_the_last_try_of_a_seed_counts(tmp_path):
    folder = write_search(tmp_path / "search", points=2, statuses={0: "failed"})
    again = {"evaluation": 0, "k3[0]": 1.0, "seed": 2, "status": "completed", "value": 0.6, "epochs": 5}
    search = rewrite(folder, lambda frame: pd.concat([frame, pd.DataFrame([again])]))
    assert search.evaluations.loc[0, "n"] == 3
    assert search.evaluations.loc[0, "status"] == "completed"


def test_a_value_that_is_no_number_is_a_failure_and_a_running_one_is_unfinished(tmp_path):
    folder = write_search(tmp_path / "search", points=3, seeds=[0])
    search = rewrite(
        folder, lambda frame: values((0, 0, np.nan))(frame.assign(status=["completed", "running", "completed"]))
    )
    assert list(search.evaluations["status"]) == ["failed", "unfinished", "completed"]
    assert "of one seed: it may be luck" in search.summary


def test_one_bad_evaluation_does_not_take_all_colours(tmp_path):
    folder = write_search(tmp_path / "search", points=5, seeds=[0])
    search = rewrite(folder, values((0, 0, 0.01), *((number, 0, 0.6 + number / 100) for number in range(1, 5))))
    assert search.colour_range == pytest.approx((64 - 3 * 2, 64))


def test_between_two_coefficients_values_are_linear(tmp_path):
    folder = write_search(tmp_path / "search", ("k5[0]", "k5[1]"), points=30, seeds=[0])
    frame = pd.read_csv(folder / "history.csv")
    frame["value"] = (frame["k5[0]"] + 2 * frame["k5[1]"]) / 100
    search = rewrite(folder, lambda _: frame)
    first, second, inside = search.surface(10)
    expected = first[None, :] + 2 * second[:, None]
    known = np.isfinite(inside)
    assert known.sum() > 40
    assert inside[known] == pytest.approx(expected[known])


def test_points_on_a_line_have_nothing_between_them(tmp_path):
    folder = write_search(tmp_path / "search", ("k5[0]", "k5[1]"), points=4)
    assert rewrite(folder, lambda frame: frame.assign(**{"k5[1]": frame["k5[0]"]})).surface(10) is None
    assert read_search(write_search(tmp_path / "two", ("k5[0]", "k5[1]"), points=2)).surface(10) is None


def test_coefficients_of_stages_and_layers(tmp_path):
    search = read_search(write_search(tmp_path / "search", ("stage1.k3[0]", "features.0.k5[1]"), points=2))
    assert search.bounds == {"stage1.k3[0]": (0.3, 1.5), "features.0.k5[1]": (0.5, 1.5)}
    assert search.published == (0.7, 0.8)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("search.yaml", "- 1\n", "search.yaml holds no keys"),
        ("search.yaml", "a: [", "search.yaml is not YAML"),
        ("search.yaml", "search: {metric: val/beauty}\n", "names the metric val/beauty, and there is none"),
        ("search.yaml", "config: {}\n", "holds no search: 'search'"),
        ("history.csv", "", "No columns"),
        ("history.csv", "evaluation,k3[0],seed,status,value\n", "history.csv has no evaluation"),
        ("history.csv", "evaluation,k3[0],status,value\n0,1,completed,1\n", "history.csv has no column seed"),
        ("history.csv", "evaluation,lr,seed,status,value\n0,1,0,completed,1\n", "history.csv has a column 'lr'"),
        ("history.csv", "evaluation,k3[0],seed,status,value\n0,,0,completed,1\n", "that is no finite number"),
        ("history.csv", "evaluation,k3[0],seed,status,value\n0,a,0,completed,1\n", "could not convert"),
    ],
)
def test_what_is_no_search_is_told_in_a_sentence(tmp_path, file, text, message):
    folder = write_search(tmp_path / "search")
    (folder / file).write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        read_search(folder)
    assert "\n" not in str(error.value)


def test_a_file_that_is_missing(tmp_path):
    folder = write_search(tmp_path / "search")
    (folder / "history.csv").unlink()
    with pytest.raises(ValueError, match=r"history.csv cannot be read \(No such file or directory\)"):
        read_search(folder)


def test_searches_are_found_below_a_folder_once_and_not_in_runs(tmp_path):
    one = write_search(tmp_path / "searches" / "one")
    inside = write_search(tmp_path / "classification" / "run" / "search")
    (inside.parent / "results.json").write_text("{}")
    assert find_searches([tmp_path, one]) == [one]
