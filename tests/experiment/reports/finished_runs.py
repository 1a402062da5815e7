"""Run folders as a training leaves them, made up: for pages of many runs, and of runs with checkpoints and panels."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from wconv.experiment.reports.panels import encode_png, make_panel

DENSITY = {"k3": [0.7]}


def write_run(
    folder: Path,
    *,
    model: str = "vgg",
    conv: str = "standard",
    seed: int = 0,
    epochs: int = 3,
    gain: float = 0.0,
    lr: float = 0.1,
    task: str = "classification",
    results: Mapping[str, Any] | None = None,
) -> Path:
    """Write the files of a finished run.

    Args:
        folder: of the run.
        model: name of the backbone.
        conv: name of the arm.
        seed: of the run; the noise on its curves follows from it and the arm.
        epochs: rows of metrics.csv.
        gain: what is added to the final accuracy, or PSNR.
        lr: learning rate.
        task: "classification" or "denoising".
        results: what else, or other, results.json says.
    """
    folder.mkdir(parents=True)
    noise = np.random.default_rng([seed, *map(ord, conv)]).normal(0, 0.01, epochs)
    acc = 0.6 * (1 - np.exp(-(np.arange(epochs) + 3) / 40)) + noise + gain
    density = {} if conv == "standard" else DENSITY
    config = {
        "seed": seed,
        "model": {"name": model, "depth": 16},
        "conv": {"name": conv, "density": density},
        "init": {"name": "kaiming"},
        "datamodule": {"name": "cifar100", "seed": seed},
        "task": {"name": task},
        "optimizer": {"name": "sgd", "lr": lr},
        "trainer": {"max_epochs": epochs},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    quality = "acc" if task == "classification" else "psnr"
    rows = [f"{i},{i},{v:.6f},{2 - v:.6f}" for i, v in enumerate(acc if quality == "acc" else 30 * acc)]
    (folder / "metrics.csv").write_text("\n".join([f"epoch,step,val/{quality},val/loss", *rows]) + "\n")
    scores = {"acc": float(acc[-1]), "acc_top5": 0.9} if quality == "acc" else {"psnr": 28 + float(acc[-1])}
    content: dict[str, Any] = {
        "status": "completed",
        "task": task,
        "model": model,
        "conv": conv,
        "density": density,
        "init": "kaiming",
        "seed": seed,
        "metrics": {f"test/{name}": value for name, value in scores.items()},
        "parameters": 1000,
        "macs": 2_000_000,
        "seconds": 100.0 + seed,
        "peak_memory_mb": 900.0,
        "device": "cpu (x86_64)",
        "threads": 1,
        "layers": [{"name": "features.0", "kernel_size": [3, 3], "density": [[0.7], [0.7]] if density else None}],
        "overrides": [f"model={model}", f"conv={conv}", f"seed={seed}"],
        "versions": {"python": "3.11.7", "torch": "2.6.0"},
        "git": {"commit": "0123456789abcdef", "changed": False},
    }
    (folder / "results.json").write_text(json.dumps(content | dict(results or {})))
    return folder


def write_checkpoint(run: Path, kernels: torch.Tensor) -> None:
    """Write best.ckpt with the kernels of the first layer."""
    (run / "checkpoints").mkdir()
    content = {"global_step": 1, "state_dict": {"model.features.0.weight": kernels}}
    torch.save(content, run / "checkpoints" / "best.ckpt")


def write_panel(run: Path, name: str, images: Sequence[torch.Tensor]) -> None:
    """Write the panel of a test image: clean, noisy and denoised (1, C, H, W)."""
    (run / "images").mkdir(exist_ok=True)
    clean, noisy, denoised = images
    panel = make_panel({"clean": clean, "noisy 20 dB": noisy, "denoised 28 dB": denoised, "error, 5 times": clean})
    (run / "images" / f"{name}.png").write_bytes(encode_png(panel))
