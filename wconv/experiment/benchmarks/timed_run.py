"""Time a run of train.py: a fixed number of training batches, without validation and test."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch

from wconv.experiment.benchmarks.run_python import run_python
from wconv.experiment.benchmarks.tables import Row
from wconv.experiment.command_line.arguments import parse_command_line
from wconv.experiment.common.checkout import CONFIGS
from wconv.experiment.training.train import train

# The four backbones at the size of the experiments here, each with the batch size of the measurement.
BACKBONES = {
    "VGG-16, width 0.25": ["model=vgg", "model.width=0.25", "datamodule.batch_size=128"],
    "ResNet-20": ["model=resnet", "model.depth=20", "datamodule.batch_size=128"],
    "DnCNN, 7 layers of 32": ["model=dncnn", "model.depth=7", "model.width=32", "datamodule.batch_size=16"],
    "NAFNet, width 16": [
        *("model=nafnet", "model.width=16", "model.encoder=[1,1]", "model.middle=2", "model.decoder=[1,1]"),
        *("datamodule.patch_size=64", "datamodule.batch_size=16"),
    ],
}
UNTESTED = [
    "trainer.limit_val_batches=0",
    "trainer.limit_test_batches=0",
    "trainer.enable_progress_bar=false",
    "callbacks.checkpoint.every_seconds=1e9",
]


def drawn_data(words: Sequence[str], steps: int) -> list[str]:
    """Return the overrides for drawn data, enough for `steps` batches of a backbone."""
    batch = next(int(word.partition("=")[2]) for word in words if word.startswith("datamodule.batch_size="))
    if any(word in ("model=dncnn", "model=nafnet") for word in words):
        size = ["datamodule.drawn_size=96", "datamodule.train_images=20", "datamodule.val_size=2"]
        patches = f"datamodule.patches_per_epoch={steps * batch}"
        return ["datamodule=synthetic_images", "datamodule.channels=1", "datamodule.test_images=2", *size, patches]
    images = [f"datamodule.train_images={steps * batch + 20}", "datamodule.val_size=20", "datamodule.test_images=20"]
    return ["datamodule=synthetic_classes", *images]


def timed_run(words: Sequence[str], steps: int, epochs: int = 1, device: str = "cpu") -> Row:
    """Train as train.py does, in this process and in a temporary folder.

    Args:
        words: arguments of train.py.
        steps: batches per epoch.
        epochs: number of epochs; the first includes one-time work such as compiling.
        device: "cpu" or "cuda".

    Returns:
        Seconds of the last epoch and of the first, images per second in the last, peak memory in MB and
        multiply-accumulates per image.
    """
    with tempfile.TemporaryDirectory() as folder:
        all_words = _timed_words(words, steps, epochs, device, folder)
        config = parse_command_line(all_words, CONFIGS).config
        assert config is not None
        train(config, all_words)
        return _timings(Path(folder))


def timed_command(words: Sequence[str], steps: int, epochs: int = 1, device: str = "cpu") -> Row:
    """Like `timed_run`, but with train.py in its own process: separate memory, and several ranks are possible.

    Raises:
        RunError: it failed; the message is its last line of output.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = ["train.py", *_timed_words(words, steps, epochs, device, folder)]
        cache = f"{folder}/compiled"  # empty: what is compiled is compiled now
        run_python(command, torch.get_num_threads(), TORCHINDUCTOR_CACHE_DIR=cache)
        return _timings(Path(folder))


def _timed_words(words: Sequence[str], steps: int, epochs: int, device: str, folder: str) -> list[str]:
    accelerator = "gpu" if device == "cuda" else "cpu"
    length = [f"trainer.limit_train_batches={steps}", f"trainer.max_epochs={epochs}"]
    return [*words, *length, f"trainer.accelerator={accelerator}", *UNTESTED, f"paths.output_dir={folder}"]


def _timings(folder: Path) -> Row:
    """Read the timings of the only run below a folder."""
    (file,) = folder.rglob("timing.csv")
    timing = pd.read_csv(file)
    return {
        "seconds": float(timing["seconds"].iloc[-1]),
        "first seconds": float(timing["seconds"].iloc[0]),
        "images/s": float(timing["images_per_second"].iloc[-1]),
        "peak MB": float(timing["peak_memory_mb"].iloc[-1]),
        "macs": json.loads((file.parent / "results.json").read_text())["macs"],
    }
