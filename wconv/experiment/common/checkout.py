"""The folder of the checkout that this package belongs to, and paths relative to it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wconv.experiment.common.path_keys import is_path_key

if TYPE_CHECKING:
    from omegaconf import DictConfig

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = ROOT / "configs"
CONFIG_NAME = "train"  # of configs/train.yaml


def resolve_paths(config: "DictConfig") -> "DictConfig":
    """Return a copy of a configuration in which relative paths are resolved against the checkout."""
    absolute = config.copy()
    for key, value in config.paths.items():
        absolute.paths[key] = str(ROOT / str(value))
    return absolute


def relative_paths(config: "DictConfig") -> "DictConfig":
    """Return a copy of a configuration in which paths below the checkout are relative to it."""
    relative = config.copy()
    for key, value in config.paths.items():
        if Path(str(value)).is_relative_to(ROOT):
            relative.paths[key] = str(Path(str(value)).relative_to(ROOT))
    return relative


def relative_overrides(lines: Sequence[str]) -> list[str]:
    """Return overrides for a command to be run in the checkout: paths below it are made relative."""
    return [line.replace(f"{ROOT}/", "") if is_path_key(line.partition("=")[0]) else line for line in lines]
