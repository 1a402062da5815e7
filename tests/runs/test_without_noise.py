"""task.sigma=0: the noisy images are the clean ones, and their PSNR is "inf" wherever somebody reads it."""

import math

import pandas as pd
import pytest

from tests.tiny import DENOISER, command_line
from wconv.experiment.reports.comparison import Comparison
from wconv.experiment.reports.tables import to_csv, to_markdown
from wconv.experiment.reports.wandb.epoch_rows import final_test_metrics
from wconv.experiment.runs.result import Result
from wconv.experiment.runs.saved_runs import find_runs
from wconv.experiment.sweep.state import _done

LINE = command_line(DENOISER, "task.sigma=0", "trainer.max_epochs=1")


def test_the_noisy_psnr_is_infinite_everywhere(train):
    done = train(*LINE)
    assert done.code == 0, done.err
    assert "test/noisy_psnr inf  " in done.out
    assert "nan" not in done.out
    assert done.results["metrics"]["test/noisy_psnr"] == "inf"
    assert (pd.read_csv(done.directory / "images.csv")["noisy_psnr"] == math.inf).all()
    assert Result(done.directory, done.results).metrics["test/noisy_psnr"] == math.inf
    (run,) = find_runs([done.directory])
    assert not run.has_diverged
    comparison = Comparison([run])
    assert to_markdown(comparison).splitlines()[2].split("|")[6].strip() == "inf"
    assert "inf" in to_csv(comparison).splitlines()[1].split(",")
    again = train(*LINE)
    assert "test/noisy_psnr inf  " in again.out


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_model_that_changes_nothing_is_perfect_and_has_not_diverged(train, monkeypatch, epochs):
    from models.dncnn import DnCNN

    weights = "dncnn.0.weight"

    def identity(self, noisy):
        return noisy + 0 * self.get_parameter(weights).sum()

    monkeypatch.setattr(DnCNN, "forward", identity)
    done = train(*command_line(DENOISER, "task.sigma=0", f"trainer.max_epochs={epochs}"))
    assert done.code == 0, done.err
    assert done.results["metrics"]["test/psnr"] == done.results["metrics"]["val/psnr"] == "inf"
    assert done.results["metrics"]["test/ssim"] == 1.0
    (run,) = find_runs([done.directory])
    assert not run.has_diverged
    assert to_markdown(Comparison([run])).splitlines()[2].split("|")[7].strip() == "inf"
    assert final_test_metrics(done.directory) == {"test/ssim": 1.0, "diverged": 0.0}
    assert _done(None, done.results).metric == "test/psnr inf"
    assert (done.directory / "images" / "curves.png").exists()
