"""What a run is: the part of the configuration that can change its result, and the hash of that."""

import hashlib
import json
from typing import Any

from omegaconf import DictConfig, OmegaConf

# Where things lie and how they are shown; none of it changes a result.
NEUTRAL = ("paths", "force", "logger", "callbacks", "cluster", "resources")
NEUTRAL_DATA = ("data_dir", "train_dir", "val_dir", "test_dirs", "store_dir")
NEUTRAL_TRAINER = (
    "accelerator",
    "enable_autolog_hparams",
    "enable_model_summary",
    "enable_progress_bar",
    "limit_predict_batches",
    "log_every_n_steps",
    "profiler",
    "strategy",
)


def identity(config: DictConfig, data: dict[str, Any]) -> dict[str, Any]:
    """Return what the result of a run follows from.

    Args:
        config: the composed configuration.
        data: fingerprint of the data, which stands for the folders it lies in.

    Returns:
        Plain values; two runs with the same ones give the same result on the same machine.
    """
    content = OmegaConf.to_container(config, resolve=True)
    assert isinstance(content, dict)
    for key in NEUTRAL:
        content.pop(key, None)
    for group, keys in (("datamodule", NEUTRAL_DATA), ("trainer", NEUTRAL_TRAINER)):
        for key in keys:
            content[group].pop(key, None)
    return {"config": content, "data": data}


def run_hash(content: dict[str, Any]) -> str:
    """Return the SHA-256 of an identity; 1 and 1.0 are the same number."""
    return hashlib.sha256(json.dumps(_canonical(content), sort_keys=True).encode()).hexdigest()


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _canonical(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_canonical(entry) for entry in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value
