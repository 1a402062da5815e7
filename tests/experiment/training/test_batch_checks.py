"""What is known of the batches is said before the run starts, and not hours later."""

import re
from contextlib import nullcontext

import pytest

from tests.tiny import CLASSIFIER, DENOISER, command_line
from wconv.experiment.command_line.arguments import parse_command_line
from wconv.experiment.common.checkout import CONFIGS
from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.tasks.instantiate import instantiate_group
from wconv.experiment.training import batch_checks

REFUSED = {
    "trainer.max_time=00:00:00:00": "trainer.max_time=00:00:00:00: expected a time above 0 as DD:HH:MM:SS, or null",
    "trainer.limit_train_batches=0.01": "trainer.limit_train_batches=0.01 of 5 batches is less than one; write a whole",
    "trainer.limit_val_batches=0.01": "trainer.limit_val_batches=0.01 of 1 batch is less than one; write a whole",
    "trainer.limit_test_batches=0.01": "trainer.limit_test_batches=0.01 of 2 batches is less than one; write a whole",
    "trainer.val_check_interval=100": "trainer.val_check_interval=100, but an epoch has 5 batches; lower it",
    "trainer.val_check_interval=3 trainer.limit_train_batches=2": "but an epoch has 2 batches",
}


def refusal(done, folder) -> str:
    assert not (folder / "runs").exists()
    return done.refusal()


@pytest.mark.parametrize(("line", "message"), REFUSED.items())
def test_limits_that_leave_nothing(train, tmp_path, line, message):
    assert message in refusal(train(*line.split()), tmp_path)


def test_batch_norm_with_one_value_a_channel(train, tmp_path):
    line = command_line(DENOISER, "datamodule.patch_size=1", "datamodule.batch_size=1")
    message = refusal(train(*line), tmp_path)
    assert "a training batch of 1 image of 1x1 pixels leaves batch norm one value per channel" in message
    assert "use a larger datamodule.batch_size, or larger images" in message


PARTS = {
    # Of 65 images in batches of 32, one of two processes has 32 in batches of 16.
    "a classifier, enough": (CLASSIFIER, "trainer.limit_test_batches=0.5", ""),
    "a classifier": (CLASSIFIER, "trainer.limit_test_batches=0.4", "limit_test_batches=0.4 of 2 batches per process"),
    # Of 10 test images, each of two processes has 5; of 2 to validate with, one.
    "a denoiser, enough": (DENOISER, "trainer.limit_test_batches=0.2", ""),
    "a denoiser": (DENOISER, "trainer.limit_test_batches=0.1", "limit_test_batches=0.1 of 5 batches per process"),
    "its validation": (DENOISER, "trainer.limit_val_batches=0.5", "limit_val_batches=0.5 of 1 batch per process"),
}


@pytest.mark.parametrize(("base", "line", "message"), PARTS.values(), ids=PARTS)
def test_limits_are_parts_of_what_a_process_gets(base, line, message):
    """One process alone would have enough; of two, the one with fewer images would have no batch left."""
    images = ["datamodule.test_images=65"] if base is CLASSIFIER else []
    config = parse_command_line(command_line(base, line, *images), CONFIGS).config
    data = instantiate_group(config.datamodule)
    data.load()
    batch_checks.check(config, data, 1)
    with pytest.raises(ConfigError, match=re.escape(message)) if message else nullcontext():
        batch_checks.check(config, data, 2)


ENDED = {
    "no validation": ("trainer.limit_val_batches=0", {"test/acc", "test/acc_top5", "test/loss"}),
    "no test": ("trainer.limit_test_batches=0", {"val/acc", "val/acc_top5", "val/loss"}),
    "neither": ("trainer.limit_val_batches=0 trainer.limit_test_batches=0", set()),
}


@pytest.mark.parametrize(("line", "names"), ENDED.values(), ids=ENDED)
def test_a_run_without_a_part_ends_with_what_it_has(train, line, names):
    done = train(*line.split(), "trainer.max_epochs=1")
    assert done.code == 0, done.err
    assert done.results["status"] == "completed"
    assert done.results["metrics"].keys() == names
    assert done.results["steps"] == 5


def test_a_run_without_any_step_ends_with_what_it_has(train, monkeypatch):
    """Its time was over before the first batch."""
    from pytorch_lightning.callbacks import Timer

    monkeypatch.setattr(Timer, "time_elapsed", lambda *_: 10.0)
    done = train("trainer.max_time=00:00:00:01")
    assert done.code == 0, done.err
    results = done.results
    assert (results["steps"], results["seconds"], results["images_per_second"]) == (0, 0.0, None)
    assert "test/acc" in results["metrics"]
