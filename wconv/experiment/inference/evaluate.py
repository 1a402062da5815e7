"""Evaluate a trained denoiser again: with the same result as after training, or on other noise and images."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytorch_lightning as pl

from wconv.experiment.common.files import write_atomically
from wconv.experiment.common.metrics import METRICS, TASKS, round_to_float32, to_json
from wconv.experiment.common.text import escape_markdown
from wconv.experiment.inference.load import Denoiser
from wconv.experiment.tasks.noise import GaussianNoise
from wconv.experiment.tasks.progress import progress_bar

MEASURED = TASKS["denoising"].metrics


def evaluate(
    denoiser: Denoiser, data: pl.LightningDataModule, sigmas: Sequence[float], fast: bool = False
) -> pd.DataFrame:
    """Denoise all test images of some data at each noise level.

    Args:
        denoiser: the network.
        data: its test images.
        sigmas: noise levels (0-255 scale).
        fast: compute in bfloat16, regardless of the precision of the training.

    Returns:
        One row per image and level, as in images.csv, and the precision.
    """
    config, task = denoiser.config, denoiser.task
    precision: Any = "bf16-mixed" if fast else "32-true" if config is None else config.trainer.precision
    trainer = pl.Trainer(
        accelerator="auto" if config is None or config.trainer.accelerator != "cpu" else "cpu",
        devices=1,
        precision=precision,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        callbacks=[progress_bar(every_seconds=10.0)],
    )
    tables = []
    for sigma in dict.fromkeys(sigmas):
        task.noise = GaussianNoise(sigma, task.noise.clip)
        trainer.test(task, datamodule=data, verbose=False)
        tables.append(task.images.assign(precision=precision))
    return pd.concat(tables, ignore_index=True)


def mean_metrics(images: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each set and level: the number of images and the mean of each metric."""
    groups = images.groupby(["set", "sigma", "precision"], sort=False)
    averages = groups[list(MEASURED)].mean(skipna=False).map(round_to_float32)
    return averages.assign(images=groups.size(), tiled=groups["tiled"].any()).reset_index()


def to_markdown(rows: pd.DataFrame) -> str:
    """Return the table in Markdown."""
    shown = pd.DataFrame(
        {
            "set": rows["set"].map(escape_markdown),
            "sigma": rows["sigma"].map("{:g}".format),
            "images": rows["images"],
            **{
                METRICS[name].with_unit(METRICS[name].heading): rows[name].map(METRICS[name].format)
                for name in ("noisy_psnr", "psnr", "ssim")
            },
        }
    )
    text = shown.to_markdown(index=False, disable_numparse=True, colalign=["left", *["right"] * 5])
    if rows["tiled"].any():
        text += "\n\n- Some images were denoised in tiles, which for this model is an approximation (task.max_pixels)."
    return text


def update_evaluation(rows: pd.DataFrame, path: Path) -> None:
    """Write the means to evaluation.json, keeping its entries for other sets and levels."""
    content = _read_evaluation(path)
    for row in rows.to_dict("records"):
        values = {name: to_json(row[name]) for name in MEASURED}
        level = {**values, "images": row["images"], "tiled": row["tiled"], "precision": row["precision"]}
        content.setdefault(row["set"], {})[f"sigma{row['sigma']:g}"] = level
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())


def _read_evaluation(path: Path) -> dict[str, dict[str, object]]:
    """Return the content of evaluation.json; empty if it is missing or damaged, so that it is rewritten."""
    with suppress(OSError, ValueError, RecursionError):
        content = json.loads(path.read_text())
        if isinstance(content, dict) and all(isinstance(levels, dict) for levels in content.values()):
            return content
    return {}
