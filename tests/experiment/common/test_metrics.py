import json
import math
from pathlib import Path

import pytest

from wconv.experiment.common.metrics import (
    METRICS,
    TABLE,
    TASKS,
    best_mode,
    from_json,
    heading,
    metric,
    not_finite,
    title,
    to_json,
)
from wconv.experiment.tasks.classification import Classification
from wconv.experiment.tasks.denoising import Denoising

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("test/acc", "test acc (%)"),
        ("test/acc_top5", "test top-5 acc (%)"),
        ("val/psnr", "val PSNR (dB)"),
        ("test/noisy_psnr", "noisy PSNR (dB)"),
        ("test/bsd68/noisy_psnr", "bsd68 noisy PSNR (dB)"),
        ("test/bsd68/ssim", "bsd68 SSIM"),
    ],
)
def test_headings_of_tables(name: str, expected: str) -> None:
    assert heading(name) == expected


def test_names_in_figures() -> None:
    assert METRICS["acc"].axis == "accuracy (%)"
    assert METRICS["loss"].axis == "loss"
    assert title("val/acc") == "validation accuracy (a fraction)"
    assert title("train/loss") == "training loss"
    assert title("test/psnr") == "test PSNR (dB)"


def test_values_are_shown_in_the_unit_of_the_heading() -> None:
    assert METRICS["acc"].format(0.66944) == "66.94"
    assert METRICS["psnr"].format(22.634) == "22.63"
    assert METRICS["ssim"].format(0.82839) == "0.8284"


def test_the_best_of_a_loss_is_its_smallest_value_and_of_a_score_its_largest() -> None:
    best = {name: best_mode(name) for name in ("val/loss", "train/acc", "test/bsd68/psnr", "lr", "time/seconds")}
    assert best == {"val/loss": "min", "train/acc": "max", "test/bsd68/psnr": "max", "lr": None, "time/seconds": None}


def test_the_tasks_choose_the_epoch_as_it_says_here() -> None:
    for name, task in (("classification", Classification), ("denoising", Denoising)):
        assert (task.monitor, task.mode) == (TASKS[name].monitor, TASKS[name].mode)


def test_every_recorded_metric_has_an_entry_that_means_what_was_recorded() -> None:
    """The committed runs are the witnesses: what they measured, and what they say it means."""
    files = sorted(ROOT.glob("results/*/runs/*/results.json"))
    assert len(files) > 20
    for file in files:
        results = json.loads(file.read_text())
        assert all(metric(name) for name in results["metrics"]), file
        now = TASKS[results["task"]].definitions
        then = results["metric_definitions"]
        assert {name: now[name] for name in now if name in then} == {name: then[name] for name in now if name in then}
        assert "selection" in then


def test_the_columns_of_a_table_are_metrics_of_a_task() -> None:
    measured = {name for task in TASKS.values() for name in task.metrics}
    assert {name.rpartition("/")[2] for name in TABLE} == measured
    assert measured | {"loss"} == set(METRICS)


def test_an_infinite_psnr_is_a_score_and_no_other_infinity_is() -> None:
    infinite = {"test/psnr": math.inf, "test/noisy_psnr": math.inf, "test/bsd68/psnr": math.inf}
    assert not_finite(infinite) == []
    assert not_finite({"test/psnr": math.nan, "test/noisy_psnr": math.nan}) == ["test/psnr"]
    assert not_finite({"test/psnr": -math.inf, "test/loss": math.inf}) == ["test/psnr", "test/loss"]


def test_numbers_go_through_json() -> None:
    values = [1.5, math.inf, -math.inf, math.nan]
    written = json.dumps([to_json(value) for value in values], allow_nan=False)
    assert written == '[1.5, "inf", "-inf", null]'
    assert [from_json(value) for value in json.loads(written)] == [1.5, math.inf, -math.inf, None]


def test_the_last_bit_of_a_mean_decides_no_tie():
    shown = {
        METRICS["acc"].format(value) for value in (0.06745, math.nextafter(0.06745, 0), math.nextafter(0.06745, 1))
    }
    assert len(shown) == 1
