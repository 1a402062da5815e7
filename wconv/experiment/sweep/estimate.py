"""What a sweep will cost, as far as finished runs tell it."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wconv.experiment.sweep.manifest import Row, Sweep
from wconv.experiment.sweep.slurm import seconds


@dataclass(frozen=True)
class Estimate:
    """Time and core-hours of the runs of one model.

    Attributes:
        model: its name.
        runs: how many are left.
        hours: of one run; NaN where no finished run tells it.
        core_hours: of all of them together.
        basis: how many finished runs it follows from.
    """

    model: str
    runs: int
    hours: float
    core_hours: float
    basis: int

    @property
    def sentence(self) -> str:
        """The estimate in words."""
        if math.isnan(self.hours):
            return f"{self.model}: {self.runs} runs, unknown: no finished run of this model and accelerator"
        return (
            f"{self.model}: {self.runs} runs of {self.hours:.2f} h, {self.core_hours:.1f} core-hours "
            f"(from {self.basis} finished runs)"
        )


def cores(sweep: Sweep) -> int:
    """Return what a run is billed, in cores."""
    cluster, resources = sweep.settings.cluster, sweep.settings.resources
    each = max(int(resources["cpus"]), int(resources["gpus"]) * int(cluster["cores_per_gpu"]))
    return each * sweep.settings.processes * sweep.settings.nodes


def estimates(sweep: Sweep, rows: list[Row], output_dirs: list[Path]) -> list[Estimate]:
    """Estimate the cost of rows from the finished runs in some folders, by the time that an epoch took.

    Only runs on the same kind of device count. How large model and data are is not looked at: a sweep of one size tells
    most.
    """
    kind = "gpu" if int(sweep.settings.resources["gpus"]) else "cpu"
    times: dict[str, list[float]] = {}
    for results in _finished(output_dirs):
        device = "cpu" if str(results.get("device", "")).startswith("cpu") else "gpu"
        if device == kind and results.get("epochs") and results.get("seconds"):
            times.setdefault(str(results["model"]), []).append(results["seconds"] / results["epochs"])
    found = []
    for model in dict.fromkeys(row.model for row in rows):
        of_model, known = [row for row in rows if row.model == model], times.get(model, [])
        epoch = sum(known) / len(known) / 3600 if known else math.nan
        total = sum(row.epochs for row in of_model) * epoch
        found.append(Estimate(model, len(of_model), total / len(of_model), total * cores(sweep), len(known)))
    return found


def _finished(output_dirs: list[Path]) -> Iterator[dict[str, Any]]:
    for path in (path for folder in output_dirs for path in folder.glob("*/*/results.json")):
        try:
            content = json.loads(path.read_bytes())
        except (OSError, ValueError):
            continue
        if isinstance(content, dict) and content.get("status") == "completed":
            yield content


def against_walltime(sweep: Sweep, found: list[Estimate], rows_per_job: float) -> str:
    """Say how the longest job compares with resources.walltime."""
    longest = max((one.hours for one in found if not math.isnan(one.hours)), default=math.nan) * rows_per_job
    walltime = sweep.settings.resources["walltime"]
    limit = (seconds(str(walltime)) or 0) / 3600
    if math.isnan(longest):
        return f"resources.walltime={walltime}: unknown whether it is enough; a job that needs more goes on by itself"
    if longest <= limit:
        return f"resources.walltime={walltime} is enough for the longest job, about {longest:.2f} h"
    return (
        f"resources.walltime={walltime} is less than the longest job takes, about {longest:.2f} h: "
        f"it will save and go on {math.ceil(longest / limit) - 1} times"
    )
