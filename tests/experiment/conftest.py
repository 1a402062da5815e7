"""Run folders with the files that compare.py reads."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    def make(
        name: str,
        *,
        conv: str = "standard",
        init: str = "kaiming",
        seed: int = 0,
        metrics: dict[str, float] | None = None,
        config: dict[str, Any] | None = None,
        results: dict[str, Any] | None = None,
        k3: float = 0.7,
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        density = {"k3": [k3], "k5": [0.2, 0.8]} if conv != "standard" else {}
        layers = [
            {"name": "0", "kernel_size": [3, 3], "density": [[k3], [k3]] if conv == "weighted" else None},
            {"name": "1", "kernel_size": [1, 1], "density": None},
        ]
        tree: dict[str, Any] = {
            "seed": seed,
            "force": False,
            "model": {"name": "vgg", "_target_": "models.vgg.VGG", "depth": 16, "batch_norm": True},
            "conv": {"name": conv, "density": density},
            "init": {"name": init, "_target_": f"models.init.{init}", "_partial_": True},
            "datamodule": {"name": "cifar100", "seed": seed, "data_dir": "data", "mean": [0.5, 0.4]},
            "task": {"name": "classification"},
            "optimizer": {"_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.1, "momentum": 0.9},
            "trainer": {"max_epochs": 2, "enable_progress_bar": True, "accelerator": "auto"},
            "paths": {"output_dir": name},
        }
        for key, value in (config or {}).items():
            group, _, last = key.partition(".")
            tree[group] = tree[group] | {last: value} if last else value
        (folder / "config.yaml").write_text(yaml.safe_dump(tree))
        content = {
            "status": "completed",
            "model": tree["model"]["name"],
            "conv": conv,
            "density": density,
            "init": init,
            "seed": seed,
            "metrics": metrics or {"test/acc": 0.6694, "test/acc_top5": 0.9, "val/acc": 0.65},
            "parameters": 100,
            "layers": layers,
        }
        (folder / "results.json").write_text(json.dumps(content | (results or {})))
        return folder

    return make
