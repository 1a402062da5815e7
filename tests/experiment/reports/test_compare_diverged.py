"""A run that has diverged is in no mean, and is counted and named."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest

from wconv.experiment.reports.comparison import Comparison
from wconv.experiment.reports.tables import to_csv, to_markdown
from wconv.experiment.runs.saved_runs import find_runs

MakeRun = Callable[..., Path]
NAN = float("nan")
pytestmark = pytest.mark.filterwarnings("error")


def cells(text: str) -> list[dict[str, str]]:
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


def test_n_and_mean_are_of_the_same_runs(tmp_path: Path, make_run: MakeRun) -> None:
    for seed, accuracy in enumerate((0.4, NAN, 0.6)):
        make_run(f"s{seed}", seed=seed, metrics={"test/acc": accuracy, "val/acc": 0.5})
    comparison = Comparison(find_runs([tmp_path]))

    row = comparison.table.iloc[0]
    assert (row["n"], row["diverged"]) == (2, 1)
    assert row["test/acc mean"] == pytest.approx(0.5)
    assert row["test/acc std"] == pytest.approx(0.02**0.5)

    text = to_markdown(comparison)
    (shown,) = cells(text)
    assert (shown["n"], shown["diverged"], shown["test acc (%)"]) == ("2", "1", "50.00 ± 14.14")
    assert "- Seeds: 0, 2." in text
    assert f"- Diverged, in no mean: {tmp_path / 's1'} (seed 1): test/acc is not a finite number." in text

    (back,) = pd.read_csv(StringIO(to_csv(comparison))).to_dict("records")
    assert (back["n"], back["diverged"], back["test/acc mean"]) == (2, 1, pytest.approx(0.5))


@pytest.mark.parametrize("value", [NAN, float("inf"), -float("inf")])
def test_a_run_is_in_the_mean_of_every_metric_or_of_none(tmp_path: Path, make_run: MakeRun, value: float) -> None:
    """A network that puts out NaN has an accuracy: that of always naming the first class."""
    make_run("sound", seed=0, metrics={"test/acc": 0.4, "test/loss": 2.0})
    make_run("wrecked", seed=1, metrics={"test/acc": 0.01, "test/loss": value})

    row = Comparison(find_runs([tmp_path])).table.iloc[0]

    assert (row["n"], row["diverged"]) == (1, 1)
    assert (row["test/acc mean"], row["test/loss mean"]) == (0.4, 2.0)


def test_a_row_of_which_every_run_diverged_has_no_figures(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("sound", metrics={"test/acc": 0.4})
    make_run("a", conv="weighted", seed=0, metrics={"test/acc": NAN})
    make_run("b", conv="weighted", seed=1, metrics={"test/acc": NAN})

    text = to_markdown(Comparison(find_runs([tmp_path])))

    standard, weighted = cells(text)
    assert (standard["n"], standard["diverged"], standard["test acc (%)"]) == ("1", "0", "40.00")
    assert (weighted["n"], weighted["diverged"], weighted["test acc (%)"]) == ("0", "2", "-")
    assert "The rows rest on different seeds: 0 or 1 each." in text
    assert "nan" not in text


def test_where_all_diverged_the_columns_are_there(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("a", metrics={"test/acc": NAN, "val/acc": 0.01})
    comparison = Comparison(find_runs([tmp_path]))

    (shown,) = cells(to_markdown(comparison))
    assert (shown["n"], shown["test acc (%)"], shown["val acc (%)"]) == ("0", "-", "-")
    assert "Every run has diverged" in to_markdown(comparison)
    assert "nan" not in to_csv(comparison)


def test_a_comparison_without_one_has_no_column_for_them(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("a")
    assert "diverged" not in to_markdown(Comparison(find_runs([tmp_path])))


def test_images_without_noise_are_no_divergence(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("a", metrics={"test/psnr": 40.0, "test/noisy_psnr": float("inf"), "test/set12/noisy_psnr": NAN})
    (shown,) = cells(to_markdown(Comparison(find_runs([tmp_path]))))
    assert (shown["n"], shown["test PSNR (dB)"]) == ("1", "40.00")


def test_a_metric_that_one_of_the_runs_lacks_has_no_mean(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("a", seed=0, metrics={"test/acc": 0.4, "test/acc_top5": 0.8})
    lacking = make_run("b", seed=1, metrics={"test/acc": 0.6})

    text = to_markdown(Comparison(find_runs([tmp_path])))

    (shown,) = cells(text)
    assert (shown["n"], shown["test top-5 acc (%)"]) == ("2", "-")
    assert shown["test acc (%)"].startswith("50.00")
    assert f"- No mean of test/acc_top5: {lacking} (seed 1) lacks it." in text
