"""Provenance of a result: versions, commit, job."""

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from wconv.experiment.common.checkout import ROOT

PACKAGES = ("wconv", "torch", "torchvision", "pytorch-lightning", "torchmetrics", "hydra-core")
SLURM_VARIABLES = ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_JOB_PARTITION")


@cache
def provenance() -> dict[str, Any]:
    """Return versions, the commit of the checkout and the SLURM job, if there is one."""
    return {
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        # results/ is the output of runs, perhaps of a concurrent one, and not part of the code.
        "git": {"commit": _git("rev-parse", "HEAD"), "changed": bool(_git("status", "--porcelain", "--", ":!results"))},
        "slurm": {name: os.environ[name] for name in SLURM_VARIABLES if name in os.environ},
    }


def device_name(device: torch.device) -> str:
    """Return the model of a GPU, or the architecture of the CPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu ({platform.machine()})"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
