"""Metadata of a run for W&B: id, configuration and tags."""

from pathlib import Path
from typing import Any

from PIL import Image

from wconv.experiment.common.files import write_atomically
from wconv.experiment.reports.wandb.private import run_id
from wconv.experiment.runs.arm_styles import arm_name
from wconv.experiment.runs.identity import model_name, relevant_settings
from wconv.experiment.runs.provenance import provenance
from wconv.experiment.runs.run import Run

LARGEST = 2048  # pixels per side of an image


def wandb_run_id(path: Path) -> str:
    """Return the W&B id of a run, drawn once and stored; W&B never accepts an id again, even of a deleted run."""
    if not path.exists() or not path.read_text().strip():
        write_atomically(path, f"{run_id()}\n".encode())
    return path.read_text().strip()


def wandb_config(run: Run) -> dict[str, Any]:
    """Return the configuration, nested as on the command line, without folders, and with the data fingerprint."""
    settings = relevant_settings(run.resolved_config)
    # The dashboard groups by these names, so they must distinguish library networks and the parts of conv=ablation.
    settings["model"]["name"], settings["conv"]["name"] = model_name(run.config.model), arm_name(run.config.conv)
    return {**settings, "data": run.data, "config_hash": run.hash, **provenance()}


def shrink_image(image: Image.Image) -> Image.Image:
    """Return an image of at most 2048 pixels per side."""
    small = image.copy()
    small.thumbnail((LARGEST, LARGEST))
    return small


def wandb_tags(run: Run) -> list[str]:
    """Return tags for filtering runs: task, model, data set and noise level."""
    config = run.config
    names = [config.task.name, model_name(config.model), config.datamodule.name]
    if "sigma" in config.task:
        sigma = config.task.sigma
        levels = [sigma] if isinstance(sigma, int | float) else sigma
        names.append("sigma=" + "-".join(f"{level:g}" for level in levels))
    return names
