"""Identity of a run: the settings that can change its result, and their hash.

The hash names the folder of a run, so it must survive changes of the code. It covers config groups by name, not by the
path of their class, and omits null, false and zero, so that adding a key with such a default changes no existing hash.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wconv.experiment.common.checkout import ROOT
from wconv.experiment.common.path_keys import is_directory_key

# Groups about paths, output and execution, which do not change a result.
NEUTRAL_GROUPS = ("paths", "force", "logger", "callbacks", "cluster", "resources", "hydra")
NEUTRAL_TRAINER = (
    "accelerator",
    "detect_anomaly",
    "enable_autolog_hparams",
    "enable_model_summary",
    "enable_progress_bar",
    "inference_mode",
    "limit_predict_batches",
    "log_every_n_steps",
    "profile",
    "profiler",
    "strategy",
)


def model_name(model: Mapping[str, Any]) -> str:
    """Return the name of a model in folders and tables, with its library if it has one: "torchvision_resnet18"."""
    return "_".join(str(model[key]) for key in ("library", "name") if model.get(key))


def relevant_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a configuration that can change a result, with the same nesting.

    A group that is instantiated is identified by its `name`, or, if it has none, by the last part of its `_target_` in
    lower case, regardless of the module.

    Args:
        config: the whole configuration as plain values, without interpolations.
    """
    content = {key: _group(value) for key, value in config.items() if key not in NEUTRAL_GROUPS}
    if isinstance(trainer := content.get("trainer"), dict):
        content["trainer"] = {key: value for key, value in trainer.items() if key not in NEUTRAL_TRAINER}
    if not content.pop("channels_last", True):  # here true is the neutral value, and false would be omitted
        content["memory_format"] = "contiguous"
    return content


def identity(config: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything that determines the result of a run.

    Args:
        config: the whole configuration as plain values, without interpolations.
        data: fingerprint of the data, used instead of its folders.

    Returns:
        Plain values; two runs with equal values give the same result on the same machine.

    Raises:
        ValueError: the file of initial weights, whose content counts, cannot be read.
    """
    settings = without_neutral(relevant_settings(config))
    if path := settings.get("model", {}).get("checkpoint"):
        settings["model"]["checkpoint"] = _digest(path)
    return {"config": settings, "data": dict(data)}


def run_hash(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of an identity; 1 and 1.0 count as equal."""
    return hashlib.sha256(json.dumps(_canonical(content), sort_keys=True).encode()).hexdigest()


def without_neutral(values: Mapping[str, Any]) -> dict[str, Any]:
    """Remove keys whose value is null, false or zero, at any depth."""
    kept = {
        key: without_neutral(value) if isinstance(value, dict) else value
        for key, value in values.items()
        if not (value is None or (isinstance(value, bool | int | float) and value == 0))
    }
    return {key: value for key, value in kept.items() if value != {}}


def _digest(path: str) -> str:
    try:
        with (ROOT / Path(path).expanduser()).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ValueError(
            f"model.checkpoint={path} cannot be read ({error.strerror}); name a file of weights"
        ) from error


def _group(value: Any) -> Any:
    """Return a group without folders, the seed of the run, and the keys with which Hydra instantiates it."""
    if not isinstance(value, dict):
        return value
    name = value.get("name") or str(value.get("_target_", "")).rpartition(".")[2].lower()
    kept = {
        key: entry if key == "layer_density" else _group(entry)  # its keys are layer names, which may look like ours
        for key, entry in value.items()
        if key not in ("name", "seed", "_target_", "_partial_") and not is_directory_key(key)
    }
    return {"name": name, **kept} if name else kept


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _canonical(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_canonical(entry) for entry in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value
