import pandas as pd
import pytest

from wconv.experiment.training.metrics_csv import MetricsCSV, round_to_float32


def test_values_of_a_step_share_a_row(tmp_path):
    logger = MetricsCSV(tmp_path / "metrics.csv")
    logger.log_metrics({"train/loss": 1.5, "epoch": 0}, step=9)
    logger.log_metrics({"val/loss": 2.5, "epoch": 0}, step=9)
    logger.save()
    assert (tmp_path / "metrics.csv").read_text() == "epoch,step,train/loss,val/loss\n0,9,1.5,2.5\n"


def test_a_resumed_run_keeps_the_rows_of_its_checkpoint_and_no_later_ones(tmp_path):
    path = tmp_path / "metrics.csv"
    first = MetricsCSV(path)
    for epoch, step in ((0, 9), (1, 19), (2, 29)):
        first.log_metrics({"val/loss": 0.1 * epoch, "epoch": epoch}, step=step)
    first.save()
    undisturbed = path.read_bytes()
    second = MetricsCSV(path)
    second.restore_rows(20)
    second.save()
    assert pd.read_csv(path)["step"].tolist() == [9, 19]
    second.log_metrics({"val/loss": 0.2, "epoch": 2}, step=29)
    second.save()
    assert path.read_bytes() == undisturbed


def test_an_existing_file_stays_until_there_is_something_to_write(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,step\n0,9\n")
    MetricsCSV(path).save()
    assert path.read_text() == "epoch,step\n0,9\n"


def test_no_temporary_file_is_left(tmp_path):
    logger = MetricsCSV(tmp_path / "metrics.csv")
    logger.log_metrics({"loss": 1.0, "epoch": 0}, step=1)
    logger.save()
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.csv"]


@pytest.mark.parametrize(("value", "expected"), [(0.9990000128746033, 0.999), (1.0, 1.0), (1e-10, 1e-10)])
def test_shortest(value, expected):
    assert round_to_float32(value) == expected
