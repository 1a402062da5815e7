"""Estimate the cost of a sweep from finished runs."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yaml import YAMLError  # type: ignore[import-untyped]

from wconv.experiment.common.path_keys import is_directory_key
from wconv.experiment.runs.run_files import read_config, read_results
from wconv.experiment.sweep.manifest import Row, Sweep
from wconv.experiment.sweep.slurm.commands import parse_time_limit

# Keys that determine the time of an epoch, besides the device; the kind of convolution has little effect.
OF_TRAINER = ("devices", "num_nodes", "precision", "limit_train_batches", "limit_val_batches")
SAMPLE = 30  # finished runs read per model, latest first, since reading configurations takes time


@dataclass(frozen=True)
class Estimate:
    """Time and core-hours of the runs of one workload.

    Attributes:
        model: name of their backbone.
        runs: number of remaining runs.
        hours: of one run; NaN if no finished run is comparable.
        core_hours: of all remaining runs together.
        devices: of the finished runs that the estimate is based on, one entry per run.
    """

    model: str
    runs: int
    hours: float
    core_hours: float
    devices: tuple[str, ...]

    @property
    def description(self) -> str:
        """The estimate in words."""
        if math.isnan(self.hours):
            return (
                f"{self.model}: {self.runs} runs, unknown: no run of the same model, data and accelerator is finished"
            )
        return (
            f"{self.model}: {self.runs} runs of {self.hours:.2f} h, {self.core_hours:.1f} core-hours "
            f"(from {len(self.devices)} finished runs on {', '.join(sorted(set(self.devices)))})"
        )


def workload(config: Mapping[str, Any]) -> str:
    """Return the settings that determine the time of an epoch (network, data, arithmetic), as text."""
    # Of all folders, only that of the training images determines the length of an epoch.
    data = {
        key: value
        for key, value in config["datamodule"].items()
        if key != "seed" and (key == "train_dir" or not is_directory_key(key))
    }
    trainer = {key: config["trainer"][key] for key in OF_TRAINER}
    execution = {key: bool(config.get(key)) for key in ("channels_last", "compile")}  # older runs lack both keys
    return json.dumps([dict(config["model"]), data, trainer, execution], sort_keys=True)


def cores(sweep: Sweep) -> float:
    """Return the cores that a run is billed for; runs that share a GPU share its cost."""
    cluster, resources = sweep.settings.cluster, sweep.settings.resources
    each = max(int(resources["cpus"]), int(resources["gpus"]) * int(cluster["cores_per_gpu"]))
    return each * sweep.settings.processes * sweep.settings.nodes / sweep.settings.runs_per_gpu


def estimates(sweep: Sweep, work: list[tuple[str, list[Row]]], output_dirs: list[Path]) -> list[Estimate]:
    """Estimate the cost of rows from the epoch times of finished runs in some folders.

    Args:
        sweep: that the rows belong to.
        work: rows by their workload.
        output_dirs: folders of finished runs; runs of another workload or kind of device are ignored.
    """
    times: dict[str, list[tuple[str, float]]] = {}
    for load, device, epoch in _finished(sweep, {row.model for _, rows in work for row in rows}, output_dirs):
        times.setdefault(load, []).append((device, epoch))
    found = []
    for load, rows in work:
        known = times.get(load, [])
        epoch = sum(hours for _, hours in known) / len(known) if known else math.nan
        total = sum(row.epochs for row in rows) * epoch
        devices = tuple(device for device, _ in known)
        found.append(Estimate(rows[0].model, len(rows), total / len(rows), total * cores(sweep), devices))
    return found


def _finished(sweep: Sweep, models: set[str], output_dirs: list[Path]) -> Iterator[tuple[str, str, float]]:
    """Yield workload, device and hours per epoch of finished runs on the kind of device that the sweep needs."""
    on_gpu = bool(int(sweep.settings.resources["gpus"]))
    files = {path.resolve(): path.stat().st_mtime for folder in output_dirs for path in folder.glob("*/*/results.json")}
    seen = dict.fromkeys(models, 0)
    for path in sorted(files, key=lambda path: -files[path]):
        try:
            content = read_results(path.parent)
            model, device, epochs = content["model"], str(content["device"]), content["epochs"]
            if content["status"] != "completed" or device.startswith("cpu") == on_gpu or not epochs:
                continue
            if seen.get(model, SAMPLE) < SAMPLE:
                seen[model] += 1
                yield workload(read_config(path.parent)), device, content["seconds"] / epochs / 3600
        except (OSError, ValueError, KeyError, TypeError, AttributeError, YAMLError):
            continue


def compare_with_walltime(sweep: Sweep, found: list[Estimate], rows_per_job: float) -> str:
    """Return a sentence that compares the longest job with resources.walltime."""
    longest = max((one.hours for one in found if not math.isnan(one.hours)), default=math.nan) * rows_per_job
    walltime = sweep.settings.resources["walltime"]
    limit = (parse_time_limit(str(walltime)) or 0) / 3600
    if math.isnan(longest):
        return f"resources.walltime={walltime}: unknown whether it is enough; a job that needs more resumes by itself"
    if longest <= limit:
        return f"resources.walltime={walltime} is enough for the longest job, about {longest:.2f} h"
    return (
        f"resources.walltime={walltime} is less than the longest job takes, about {longest:.2f} h: "
        f"it will save and resume {math.ceil(longest / limit) - 1} times"
    )
