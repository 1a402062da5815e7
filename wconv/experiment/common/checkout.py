"""Where the checkout is that this package is a part of."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omegaconf import DictConfig

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = ROOT / "configs"
CONFIG_NAME = "train"  # of configs/train.yaml


def resolve_paths(config: "DictConfig") -> "DictConfig":
    """Return a copy of a configuration whose paths start at the checkout where they are relative."""
    absolute = config.copy()
    for key, value in config.paths.items():
        absolute.paths[key] = str(ROOT / str(value))
    return absolute


def relative_paths(config: "DictConfig") -> "DictConfig":
    """Return a copy of a configuration whose paths are relative where they lie below the checkout, wherever that is."""
    relative = config.copy()
    for key, value in config.paths.items():
        if Path(str(value)).is_relative_to(ROOT):
            relative.paths[key] = str(Path(str(value)).relative_to(ROOT))
    return relative
