"""Values that no run can have, refused before anything is built."""

from collections.abc import Callable
from typing import Any

from omegaconf import DictConfig, OmegaConf

from wconv.experiment.denoising import LOSSES
from wconv.experiment.errors import ConfigError

Rule = tuple[Callable[[Any], bool], str]


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _pair(value: Any) -> bool:
    return OmegaConf.is_list(value) and len(value) == 2 and all(map(_number, value)) and value[1] < float("inf")


COUNT: Rule = (lambda value: _whole(value) and value >= 1, "a whole number from 1")
SEED: Rule = (lambda value: _whole(value) and 0 <= value < 2**32, "a whole number from 0 to 4294967295")
OPTIONAL_COUNT: Rule = (
    lambda value: value is None or (_whole(value) and value >= 1),
    "a whole number from 1, or null",
)
WHOLE: Rule = (lambda value: _whole(value) and value >= 0, "a whole number from 0")
POSITIVE: Rule = (lambda value: _number(value) and 0 < value < float("inf"), "a number above 0")
PART: Rule = (lambda value: _number(value) and 0 <= value < 1, "a number from 0 to below 1")
NOT_NEGATIVE: Rule = (lambda value: _number(value) and 0 <= value < float("inf"), "a number from 0")
AT_LEAST_ONE: Rule = (lambda value: _number(value) and 1 <= value < float("inf"), "a number from 1")
STEPS: Rule = (lambda value: _whole(value) and (value == -1 or value >= 1), "a whole number from 1, or -1 for no limit")
PARTS: Rule = (lambda value: all(map(PART[0], value)), "numbers from 0 to below 1, parts of the run")
NOISE: Rule = (
    lambda value: NOT_NEGATIVE[0](value) or (_pair(value) and NOT_NEGATIVE[0](value[0]) and value[0] <= value[1]),
    "a standard deviation of 255 from 0, or a range [low, high]",
)
LOSS: Rule = (lambda value: value in LOSSES, f"one of {', '.join(LOSSES)}")
CHANNELS: Rule = (lambda value: _whole(value) and value in (1, 3), "3 for colour or 1 for grey")
PATH: Rule = (lambda value: value is not None, "a folder")

RULES = {
    "paths.data_dir": PATH,
    "paths.output_dir": PATH,
    "seed": SEED,
    "trainer.max_epochs": COUNT,
    "trainer.accumulate_grad_batches": COUNT,
    "trainer.max_steps": STEPS,
    "trainer.limit_train_batches": POSITIVE,
    "datamodule.batch_size": COUNT,
    "datamodule.train_subset": OPTIONAL_COUNT,
    "datamodule.val_size": OPTIONAL_COUNT,
    "datamodule.train_dir": PATH,
    "datamodule.data_dir": PATH,
    "datamodule.crop_padding": WHOLE,
    "datamodule.image_size": COUNT,
    "datamodule.train_images": COUNT,
    "datamodule.test_images": COUNT,
    "optimizer.lr": POSITIVE,
    "scheduler.warmup": PART,
    "scheduler.floor": PART,
    "scheduler.gamma": POSITIVE,
    "scheduler.milestones": PARTS,
    "conv.lr": POSITIVE,
    "conv.weight_decay": NOT_NEGATIVE,
    "conv.restart_epochs": POSITIVE,
    "conv.restart_factor": AT_LEAST_ONE,
    "datamodule.drawn_size": COUNT,
    "datamodule.patch_size": COUNT,
    "datamodule.patches_per_epoch": COUNT,
    "datamodule.channels": CHANNELS,
    "task.label_smoothing": PART,
    "task.sigma": NOISE,
    "task.loss": LOSS,
    "task.test_seed": SEED,
    "task.max_pixels": COUNT,
    "model.width": POSITIVE,
    "callbacks.checkpoint.every_seconds": NOT_NEGATIVE,
    "callbacks.progress.every_seconds": POSITIVE,
    "cluster.max_restarts": WHOLE,
    "cluster.warn_seconds": COUNT,
    "cluster.max_array_size": COUNT,
    "cluster.max_running": OPTIONAL_COUNT,
    "cluster.cores_per_gpu": COUNT,
    "resources.gpus": WHOLE,
    "resources.cpus": COUNT,
    "resources.memory_gb": COUNT,
    "resources.runs_at_once": COUNT,
}


def check_values(config: DictConfig) -> None:
    """Check the values that have a rule.

    Raises:
        ConfigError: the first value that breaks one.
    """
    for key, (holds, expected) in RULES.items():
        missing = object()
        value = OmegaConf.select(config, key, default=missing)
        if value is not missing and not holds(value):
            raise ConfigError(f"{key}={value}: expected {expected}")
