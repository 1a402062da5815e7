"""The rows of a run for W&B, and calls that may hang."""

import time

import pytest

from wconv.experiment.common.timeout import with_timeout
from wconv.experiment.reports.wandb.epoch_rows import best_values, epoch_rows
from wconv.experiment.reports.wandb.epoch_rows import final_test_metrics as scores_of_test

METRICS = """epoch,step,lr,train/loss,val/acc,val/loss,test/acc
0,4,0.1,2.5,0.25,2.0,
1,9,0.05,2.0,0.5,1.5,
2,14,0.01,1.5,0.4,nan,
3,15,,,,,0.45
"""
TIMING = "epoch,seconds,images_per_second\n0,2.0,100.0\n1,2.5,90.0\n3,1.0,95.0\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "metrics.csv").write_text(METRICS)
    (tmp_path / "timing.csv").write_text(TIMING)
    return tmp_path


def test_an_epoch_is_one_row_of_both_files(folder):
    rows = epoch_rows(folder)
    assert list(rows) == [0, 1, 2, 3]
    assert rows[1] == {
        "trainer/global_step": 9,
        "lr": 0.05,
        "train/loss": 2.0,
        "val/acc": 0.5,
        "val/loss": 1.5,
        "time/seconds": 2.5,
        "time/images_per_second": 90.0,
    }
    assert "time/seconds" not in rows[2]  # stopped before it was written
    assert "val/loss" not in rows[2]  # diverged
    assert rows[3] == {"time/seconds": 1.0, "time/images_per_second": 95.0}  # no validation; the test is no epoch


def test_the_test_is_apart(folder, tmp_path):
    assert scores_of_test(folder) == {"test/acc": 0.45, "diverged": 0.0}
    (folder / "metrics.csv").write_text("\n".join(METRICS.splitlines()[:4]))
    assert scores_of_test(folder) == {}


def test_the_best_of_a_curve_is_its_largest_or_smallest_value(folder):
    assert best_values(epoch_rows(folder)) == {
        "train/loss": {"min": 1.5},
        "val/acc": {"max": 0.5},
        "val/loss": {"min": 1.5},
    }


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_no_number_is_never_the_best(value):
    rows = {0: {"val/psnr": 20.0, "val/loss": value}, 1: {"val/psnr": value, "val/loss": 2.0}, 2: {"train/loss": value}}
    assert best_values(rows) == {"val/psnr": {"max": 20.0}, "val/loss": {"min": 2.0}}


def test_an_infinite_value_is_not_shown(folder):
    (folder / "metrics.csv").write_text("epoch,step,train/loss,val/acc\n0,4,inf,0.25\n")
    assert epoch_rows(folder)[0].keys() == {"trainer/global_step", "val/acc", "time/seconds", "time/images_per_second"}


@pytest.mark.parametrize(
    "tested", ["0.01,", "0.01,inf", ",", ",0.5"], ids=["no loss", "infinite", "nothing", "no accuracy"]
)
def test_of_a_run_that_diverged_no_score_is_shown(folder, tested):
    (folder / "metrics.csv").write_text(f"epoch,step,val/acc,test/acc,test/loss\n0,4,0.25,,\n1,5,,{tested}\n")
    assert scores_of_test(folder) == {"diverged": 1.0}


def test_images_without_noise_are_no_divergence(folder):
    (folder / "metrics.csv").write_text("epoch,step,test/psnr,test/noisy_psnr\n1,5,40.0,inf\n")
    assert scores_of_test(folder) == {"test/psnr": 40.0, "diverged": 0.0}


def test_without_files_there_is_nothing(tmp_path):
    assert epoch_rows(tmp_path) == {}
    assert scores_of_test(tmp_path) == {}
    assert best_values({}) == {}


def test_calls_return_raise_or_are_left_alone():
    assert with_timeout(lambda: None, 10) is None
    assert with_timeout(lambda: 3, 10) == 3
    with pytest.raises(ZeroDivisionError):
        with_timeout(lambda: 1 / 0, 10)
    start = time.monotonic()
    with pytest.raises(TimeoutError, match=r"no answer in 0\.05 s"):
        with_timeout(lambda: time.sleep(5), 0.05)
    assert time.monotonic() - start < 4
