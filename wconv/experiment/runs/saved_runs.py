"""Read run folders for comparison: settings, densities, status, metrics and costs of each run."""

import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from yaml import YAMLError  # type: ignore[import-untyped]

from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.common.metrics import not_finite
from wconv.experiment.common.path_keys import CHECKPOINT
from wconv.experiment.runs.arm_styles import PARTS, arm_name
from wconv.experiment.runs.identity import relevant_settings, without_neutral
from wconv.experiment.runs.run_files import check_folder, read_config, read_results

NULL = json.dumps(None)
COSTS = ("seconds", "peak_memory_mb", "macs")
MOST_TAPS = 50  # coefficients per axis at most
Taps = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class SavedRun:
    """A run, as read from its folder.

    Attributes:
        folder: where it was found.
        status: of results.json; "unreadable" if the run cannot be used.
        reason: why the run cannot be used.
        seed: seed of the run.
        metrics: final values by name.
        features: what identifies the run, apart from its seed: configuration keys, density, number of parameters.
        costs: those known of "seconds" of training, "peak_memory_mb", and the "macs" of an image.
        densities: coefficients by kernel size, e.g. ("k3", ((0.7,), (0.7,))), then those of layers with a density of
            their own, e.g. ("features.0 + features.3", ((0.5,), (0.5,))).
    """

    folder: Path
    status: str
    reason: str = ""
    seed: int = 0
    metrics: Mapping[str, Any] = field(default_factory=dict)
    features: Mapping[str, Any] = field(default_factory=dict)
    densities: Sequence[tuple[str, Taps]] = ()
    costs: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def has_diverged(self) -> bool:
        """Whether a final metric is not finite, or training ended because the loss was not."""
        return bool(not_finite(self.metrics))

    @cached_property
    def identity(self) -> frozenset[tuple[str, Any]]:
        """What distinguishes it from runs that differ in more than the seed, by the same rule as the run hash.

        A key that was added after the run makes no difference if its value is null, false or zero.
        """
        features = {key: None if value == NULL else value for key, value in self.features.items()}
        return frozenset(without_neutral(features).items())


def find_runs(paths: Iterable[Path]) -> list[SavedRun]:
    """Read the runs in and below some folders, each once; a folder without any gives a run of status "empty".

    Raises:
        ValueError: there is no run in any of them, or a path is not a folder.
    """
    runs: dict[Path, SavedRun] = {}
    empty = []
    for path in paths:
        folders = sorted(_run_folders(path.parent if path.name == "results.json" else path))
        if not folders and not path.is_dir():
            raise ValueError(f"no run in {path}: it is no folder; name a run folder, or a folder of runs")
        if not folders:
            empty.append(SavedRun(path, "empty", "it holds no results.json, at no depth"))
        for folder in folders:
            runs.setdefault(folder.resolve(), read_run(folder))
    if not runs and empty:
        first = empty[0]
        raise ValueError(f"no run in {first.folder}: {first.reason}; name a run folder, or a folder of runs")
    return [*runs.values(), *empty]


def _run_folders(start: Path) -> Iterator[Path]:
    """Yield the run folders in and below a folder; links are followed, but not in circles, nor out of a run."""
    seen = set()
    for folder, folders, files in os.walk(start, followlinks=True):
        folders.sort()
        place = os.path.realpath(folder)
        if "results.json" in files and place not in seen:
            yield Path(folder)
        if "results.json" in files or place in seen:
            folders.clear()
        seen.add(place)


def read_run(folder: Path) -> SavedRun:
    """Read results.json and config.yaml of a run folder; an invalid one is "unreadable", with a reason."""
    try:
        check_folder(folder)
        results = _read("results.json", read_results, folder)
        status = str(results["status"])
        reason = str(results.get("error", ""))
        has_diverged = results.get("diverged") is True and "layers" in results
        if status != "completed" and not has_diverged:
            return SavedRun(folder, status, reason)
        config = _read("config.yaml", read_config, folder)
        conv = config["conv"] if isinstance(config.get("conv"), dict) else {}
        arm = arm_name(conv | {"name": results["conv"]})
        by_size, by_layer = ({}, {}) if arm == "standard" else (results["density"], results.get("layer_density"))
        densities = _densities(results["layers"], by_size or {}, by_layer or {})
        features = {"density": "; ".join(map(format_density, densities)) or "-"}
        features |= _features(config) | {"parameters": int(results["parameters"])}
        if "data" in results:  # identifies the images; the folders, which do not, are left out above
            features["data"] = sha256(json.dumps(results["data"], sort_keys=True).encode()).hexdigest()[:8]
        if "checkpoint" in results:  # likewise: identifies the weights, which the path does not
            features[CHECKPOINT] = str(results["checkpoint"])[:8]
        features["device"] = "cpu" if str(results.get("device", "cpu")).startswith("cpu") else "gpu"
        features |= {key: str(results[key]) for key in ("model", "init")} | {"conv": arm}
        measured = {"train/loss": None} if has_diverged else results["metrics"]
        metrics = {str(name): math.nan if value is None else float(value) for name, value in measured.items()}
        numbers = {name: results[name] for name in COSTS if type(results.get(name)) in (int, float)}
        costs = {name: float(value) for name, value in numbers.items() if math.isfinite(value)}
        return SavedRun(folder, status, reason, int(results["seed"]), metrics, features, densities, costs)
    except KeyError as error:
        reason = f"results.json lacks {error}"
    except OSError as error:
        reason = f"{Path(error.filename or folder).name}: {error.strerror}"
    except (ValueError, TypeError, AttributeError, ArithmeticError, ConfigError) as error:
        reason = " ".join(str(error).split())
    return SavedRun(folder, "unreadable", reason)


def _features(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return all settings except the seed that can change a result, by dotted key; groups by name."""
    settings = relevant_settings(config)
    settings.pop("seed", None)  # groups average over seeds
    if isinstance(settings.get("model"), dict):
        settings["model"].pop("library", None)  # already in the name of the model
    if isinstance(settings.get("conv"), dict):
        for key in ("density", "layer_density", *PARTS):  # shown with the layers, and in the name of the arm
            settings["conv"].pop(key, None)
    return {
        key.removesuffix(".name"): value if isinstance(value, str | int | float) else json.dumps(value)
        for key, value in _by_dotted_key(settings)
    }


def _by_dotted_key(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, dict) and value:
            yield from _by_dotted_key(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _read(name: str, read: Callable[[Path], dict[str, Any]], folder: Path) -> dict[str, Any]:
    try:
        return read(folder)
    except (ValueError, YAMLError) as error:
        raise ValueError(f"{name} {error}") from error


def _densities(layers: Any, by_size: Mapping[str, Any], by_layer: Mapping[str, Any]) -> list[tuple[str, Taps]]:
    """Return the densities that the layers of a network were given.

    For layers that have trained their density, or that are plain now, this is the density of the configuration, since
    runs are identified by their choices.
    """
    found: set[tuple[str, Taps]] = set()
    named: dict[Taps, set[str]] = {}  # names in conv.layer_density of layers with their own density, by that density
    for layer in layers:
        sizes, density = layer["kernel_size"], layer["density"]
        if own := own_density(layer, by_layer):
            named.setdefault(_taps(own[0], _by_axis(own[1], sizes)), set()).add(own[0])
            continue
        name = "k" + "x".join(map(str, sizes if len(set(sizes)) > 1 else sizes[:1]))
        if not density or layer.get("trainable"):
            density = [by_size[name]] * len(sizes) if by_size.get(name) else None
        if density:
            found.add((name, _taps(name, density)))
    groups = [(sorted(names, key=_natural), taps) for taps, names in named.items()]
    groups.sort(key=lambda group: [*map(_natural, group[0])])
    return sorted(found) + [(" + ".join(names), taps) for names, taps in groups]


def own_density(layer: Mapping[str, Any], by_layer: Mapping[str, Any]) -> tuple[str, Any] | None:
    """Return the entry of `conv.layer_density` that applies to a layer, if any.

    Args:
        layer: its entry in results.json.
        by_layer: density by name; names may have wildcards.
    """
    for name, taps in by_layer.items():
        if fnmatchcase(layer["name"], name) and _fits(taps, layer["kernel_size"]):
            return name, taps
    return None


def _by_axis(density: Any, sizes: Sequence[int]) -> list[Any]:
    """Return one list per axis for a density that may have one list for all axes."""
    return list(density) if isinstance(density[0], list) else [density] * len(sizes)


def _fits(density: Any, sizes: Sequence[int]) -> bool:
    """Whether a density fits kernels of this size; like `axis_coefficients`, but without PyTorch."""
    return [2 * len(axis) + 1 for axis in _by_axis(density, sizes)] == list(sizes)


def _taps(name: str, density: Iterable[Iterable[Any]]) -> Taps:
    taps = tuple(tuple(map(float, axis)) for axis in density)
    if len(taps) > 3 or any(len(axis) > MOST_TAPS or not all(map(math.isfinite, axis)) for axis in taps):
        raise ValueError(f"results.json has a density that no layer can have, {name}")
    return taps


def _natural(name: str) -> list[tuple[str, int]]:
    """Return a sort key that puts features.2 before features.10."""
    return [(text, int(number or 0)) for text, number in re.findall(r"(\D*)(\d*)", name)]


def format_density(density: tuple[str, Taps]) -> str:
    """Format a density like "k3 0.7", with one list if all axes share it."""
    name, axes = density
    lists = [", ".join(f"{value:g}" for value in axis) for axis in dict.fromkeys(axes)]
    return f"{name} " + " x ".join(lists)
