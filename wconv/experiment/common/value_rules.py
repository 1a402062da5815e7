"""Rules for the values of the configuration, checked before anything is built."""

from collections.abc import Callable
from typing import Any

from omegaconf import DictConfig, OmegaConf

from wconv.experiment.common.exceptions import ConfigError

Rule = tuple[Callable[[Any], bool], str]


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    """Whether it is a number, and not an integer too large for a float."""
    return isinstance(value, float) or (_whole(value) and abs(value) < 1e300)


def _pair(value: Any) -> bool:
    return OmegaConf.is_list(value) and len(value) == 2 and all(map(_number, value)) and value[1] < float("inf")


# A typo, or somebody else's config.yaml, must not request more than any machine has.
MOST = 10**12
POSITIVE_INTEGER: Rule = (lambda value: _whole(value) and 1 <= value <= MOST, "a whole number from 1")
SEED: Rule = (lambda value: _whole(value) and 0 <= value < 2**32, "a whole number from 0 to 4294967295")
OPTIONAL_COUNT: Rule = (
    lambda value: value is None or POSITIVE_INTEGER[0](value),
    "a whole number from 1, or null",
)
CLIP: Rule = (lambda value: value is None or NOT_NEGATIVE[0](value), "a number from 0, or null")
# Lightning also accepts a duration, and checks it.
INTERVAL: Rule = (
    lambda value: value is None or isinstance(value, str) or POSITIVE[0](value),
    "a part of an epoch, a number of batches, or DD:HH:MM:SS",
)
# Lightning checks the format; a duration of zero would train nothing.
DURATION: Rule = (
    lambda value: value is None or (isinstance(value, str) and value.strip("0: ") != ""),
    "a time above 0 as DD:HH:MM:SS, or null",
)
OPTIONAL_LIST: Rule = (
    lambda value: value is None or (OmegaConf.is_list(value) and all(map(_number, value))),
    "a list of numbers, or null",
)
NON_NEGATIVE_INTEGER: Rule = (lambda value: _whole(value) and 0 <= value <= MOST, "a whole number from 0")
POSITIVE: Rule = (lambda value: _number(value) and 0 < value < float("inf"), "a number above 0")
FRACTION: Rule = (lambda value: _number(value) and 0 <= value < 1, "a number from 0 to below 1")
NOT_NEGATIVE: Rule = (lambda value: _number(value) and 0 <= value < float("inf"), "a number from 0")
AT_LEAST_ONE: Rule = (lambda value: _number(value) and 1 <= value < float("inf"), "a number from 1")
SANITY: Rule = (lambda value: value == -1 or NON_NEGATIVE_INTEGER[0](value), "a whole number from 0, or -1 for all")
STEPS: Rule = (lambda value: _whole(value) and (value == -1 or value >= 1), "a whole number from 1, or -1 for no limit")
FRACTIONS: Rule = (
    lambda value: OmegaConf.is_list(value) and all(map(FRACTION[0], value)),
    "numbers from 0 to below 1, parts of the run",
)
NOISE: Rule = (
    lambda value: NOT_NEGATIVE[0](value) or (_pair(value) and NOT_NEGATIVE[0](value[0]) and value[0] <= value[1]),
    "a standard deviation from 0 (on the scale of 0 to 255), or a range [low, high]",
)
CHANNELS: Rule = (lambda value: _whole(value) and value in (1, 3), "3 for colour or 1 for grey")
MODE: Rule = (lambda value: value in ("online", "offline"), "online or offline")
NAME: Rule = (lambda value: isinstance(value, str) and value != "", "a name")
SIDE: Rule = (lambda value: _whole(value) and 1 <= value <= 16384, "a number of pixels from 1 to 16384")
PADDING: Rule = (lambda value: _whole(value) and 0 <= value <= 16384, "a number of pixels from 0 to 16384")
DRAWN_IMAGES: Rule = (lambda value: _whole(value) and 1 <= value <= 10**6, "a whole number from 1 to 1000000")
FEATURES: Rule = (lambda value: _number(value) and 0 < value <= 4096, "a number above 0, up to 4096")
LAYERS: Rule = (lambda value: _whole(value) and 1 <= value <= 1000, "a whole number from 1 to 1000")
BLOCKS: Rule = (lambda value: _whole(value) and 0 <= value <= 1000, "a whole number from 0 to 1000")
STAGES: Rule = (
    lambda value: OmegaConf.is_list(value) and len(value) <= 10 and all(map(BLOCKS[0], value)),
    "a list of at most 10 numbers of blocks, each from 0 to 1000",
)
LAYER_DENSITY: Rule = (
    lambda value: (
        value is None
        or (
            OmegaConf.is_dict(value)
            and all(_whole(layer) or NAME[0](layer) for layer in value)
            and all(OmegaConf.is_list(taps) and len(taps) > 0 for taps in value.values())
        )
    ),
    "null, or a list of coefficients for each name of a layer, as in {features.0: [0.5]}",
)
FILE: Rule = (lambda value: value is None or NAME[0](value), "a file, or null")
PATH: Rule = (lambda value: value is not None, "a folder")
# train.py and sweep.py have expanded it already, unless it comes from a configuration file or a grid.
SHORTHAND: Rule = (
    lambda value: value is False,
    "false; true works only on the command line of a run or in a sweep, elsewhere write trainer.precision=bf16-mixed",
)

SEEDS: Rule = (
    lambda value: (
        OmegaConf.is_list(value) and len(value) > 0 and len(set(value)) == len(value) and all(map(SEED[0], value))
    ),
    "a list of different seeds, such as [0, 1, 2]",
)
FRESH_SEEDS: Rule = (lambda value: value is None or SEEDS[0](value), f"null, or {SEEDS[1]}")

RULES = {
    "paths.data_dir": PATH,
    "paths.output_dir": PATH,
    "seed": SEED,
    "fast": SHORTHAND,
    "trainer.max_epochs": POSITIVE_INTEGER,
    "trainer.accumulate_grad_batches": POSITIVE_INTEGER,
    "trainer.max_steps": STEPS,
    "trainer.limit_train_batches": POSITIVE,
    "trainer.limit_val_batches": NOT_NEGATIVE,
    "trainer.limit_test_batches": NOT_NEGATIVE,
    "trainer.num_sanity_val_steps": SANITY,
    "trainer.log_every_n_steps": POSITIVE_INTEGER,
    "trainer.min_epochs": OPTIONAL_COUNT,
    "trainer.min_steps": OPTIONAL_COUNT,
    "trainer.gradient_clip_val": CLIP,
    "trainer.check_val_every_n_epoch": OPTIONAL_COUNT,
    "trainer.val_check_interval": INTERVAL,
    "trainer.max_time": DURATION,
    "datamodule.batch_size": POSITIVE_INTEGER,
    "datamodule.train_subset": OPTIONAL_COUNT,
    "datamodule.val_size": OPTIONAL_COUNT,
    "datamodule.train_dir": PATH,
    "datamodule.data_dir": PATH,
    "datamodule.crop_padding": PADDING,
    "datamodule.image_size": SIDE,
    "datamodule.train_images": DRAWN_IMAGES,
    "datamodule.test_images": DRAWN_IMAGES,
    "datamodule.image_seed": SEED,
    "datamodule.mean": OPTIONAL_LIST,
    "datamodule.std": OPTIONAL_LIST,
    "optimizer.lr": POSITIVE,
    "scheduler.warmup": FRACTION,
    "scheduler.floor": FRACTION,
    "scheduler.gamma": POSITIVE,
    "scheduler.milestones": FRACTIONS,
    "conv.layer_density": LAYER_DENSITY,
    "conv.lr": POSITIVE,
    "search.lr": POSITIVE,
    "conv.weight_decay": NOT_NEGATIVE,
    "conv.restart_epochs": POSITIVE,
    "conv.restart_factor": AT_LEAST_ONE,
    "datamodule.drawn_size": SIDE,
    "datamodule.patch_size": SIDE,
    "datamodule.patches_per_epoch": POSITIVE_INTEGER,
    "datamodule.channels": CHANNELS,
    "task.label_smoothing": FRACTION,
    "task.sigma": NOISE,
    "task.test_seed": SEED,
    "task.max_pixels": POSITIVE_INTEGER,
    "model.width": FEATURES,
    "model.depth": LAYERS,
    "model.middle": BLOCKS,
    "model.encoder": STAGES,
    "model.decoder": STAGES,
    "model.checkpoint": FILE,
    "model.name": NAME,
    "callbacks.checkpoint.every_seconds": NOT_NEGATIVE,
    "callbacks.progress.every_seconds": POSITIVE,
    "logger.project": NAME,
    "logger.mode": MODE,
    "logger.part_minutes": POSITIVE,
    "search.evaluations": OPTIONAL_COUNT,
    "search.seeds": SEEDS,
    "search.confirm_seeds": FRESH_SEEDS,
    "search.scope": (lambda value: value in ("global", "stage", "layer"), "global, stage or layer"),
    "search.start": (lambda value: value in ("published", "standard"), "published or standard"),
    "search.step": (lambda value: _number(value) and 0 < value < 1, "a number between 0 and 1"),
    "search.points": (lambda value: _whole(value) and 2 <= value <= 1000, "a whole number from 2 to 1000"),
    "search.decimals": (lambda value: _whole(value) and 1 <= value <= 3, "1, 2 or 3"),
    "search.sampler_seed": SEED,
    "cluster.max_restarts": NON_NEGATIVE_INTEGER,
    "cluster.warn_seconds": POSITIVE_INTEGER,
    "cluster.max_array_size": POSITIVE_INTEGER,
    "cluster.max_running": OPTIONAL_COUNT,
    "cluster.cores_per_gpu": POSITIVE_INTEGER,
    "resources.gpus": NON_NEGATIVE_INTEGER,
    "resources.cpus": POSITIVE_INTEGER,
    "resources.memory_gb": POSITIVE_INTEGER,
    "resources.runs_at_once": POSITIVE_INTEGER,
    "resources.runs_per_gpu": OPTIONAL_COUNT,
}


def check_values(config: DictConfig) -> None:
    """Check the values that have a rule.

    Raises:
        ConfigError: the first value that breaks one.
    """
    for key in RULES:
        missing = object()
        value = OmegaConf.select(config, key, default=missing)
        if value is not missing:
            check_value(key, value)


def check_value(key: str, value: Any) -> None:
    """Check the value of a key, if that has a rule.

    Raises:
        ConfigError: the value breaks it.
    """
    holds, expected = RULES.get(key, (lambda _: True, ""))
    if not holds(OmegaConf.create(value) if isinstance(value, list | dict) else value):
        raise ConfigError(f"{key}={value}: expected {expected}")
