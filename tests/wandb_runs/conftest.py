"""train.py and the scripts as programs that talk to a small W&B server."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.wandb_runs.fake_server import Server

ROOT = Path(__file__).resolve().parents[2]
KEY = "0123456789" * 4  # of the form of a key
# A run of a second or two, with every part in it.
TINY = {
    "datamodule": "synthetic_classes",
    "datamodule.train_images": "200",
    "datamodule.test_images": "60",
    "datamodule.batch_size": "32",
    "model.depth": "11",
    "model.width": "0.05",
    "trainer.max_epochs": "3",
    "trainer.accelerator": "cpu",
}
TINY_DENOISER = {
    "model": "dncnn",
    "model.depth": "3",
    "model.width": "4",
    "datamodule": "synthetic_images",
    "datamodule.train_images": "6",
    "datamodule.test_images": "10",
    "datamodule.drawn_size": "48",
    "datamodule.val_size": "2",
    "datamodule.patch_size": "16",
    "datamodule.patches_per_epoch": "64",
    "datamodule.batch_size": "16",
    "trainer.max_epochs": "2",
    "trainer.accelerator": "cpu",
}


# train.py, in which something happens right after an epoch was recorded.
DISTURBED = """
import glob, os, signal, sys, time
sys.path.insert(0, {root!r})
sys.argv[0] = {root!r} + "/train.py"
import train
from wconv.experiment.wandb_callback import WandbEpochs
original = WandbEpochs.on_train_epoch_end
def on_train_epoch_end(self, trainer, module):
    original(self, trainer, module)
    if trainer.current_epoch == {epoch}:
        {what}
WandbEpochs.on_train_epoch_end = on_train_epoch_end
def kill_service():
    for path in glob.glob("/proc/self/task/*/children"):
        try:
            children = open(path).read().split()
        except OSError:  # a thread that has ended meanwhile
            continue
        for child in children:
            if "wandb-core" in open(f"/proc/{{child}}/cmdline").read():
                os.kill(int(child), signal.SIGKILL)
                print("killed W&B", flush=True)
sys.exit(train.main())
"""


@pytest.fixture
def server() -> Iterator[Server]:
    serving = Server()
    threading.Thread(target=serving.serve_forever, args=(0.05,), daemon=True).start()
    yield serving
    serving.shutdown()
    serving.server_close()


@dataclass
class Done:
    """What a program left."""

    code: int
    out: str
    err: str

    @property
    def directory(self) -> Path:
        return Path(self.out.splitlines()[-1])


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment in which W&B knows nothing of the machine's user."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "SLURM_"))}
    home = tmp_path / "home"
    home.mkdir()
    return kept | {"HOME": str(home), "NETRC": str(home / "none")}


@pytest.fixture
def program(tmp_path: Path, environment: dict[str, str]) -> Callable[..., Done]:
    """Run a program of the checkout in an empty folder and wait for it."""
    here = tmp_path / "here"
    here.mkdir()

    def call(script: str, *arguments: str, **more: str) -> Done:
        command = [sys.executable, str(ROOT / script), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=here, env=environment | more, timeout=300)
        assert list(here.iterdir()) == []  # nothing is left where one happens to be
        return Done(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def disturbed(tmp_path: Path, environment: dict[str, str]) -> Callable[..., Done]:
    """Run train.py with a disturbance at the end of an epoch."""

    def call(epoch: int, what: str, *line: str, **more: str) -> Done:
        code = DISTURBED.format(root=str(ROOT), epoch=epoch, what=what)
        command = [sys.executable, "-c", code, *line]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment | more, capture_output=True, text=True, timeout=300
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def arguments(tmp_path: Path) -> Callable[..., list[str]]:
    """Return the command line of a tiny run with more options."""

    def call(*options: str) -> list[str]:
        chosen = dict(option.split("=", 1) for option in options)
        tiny = TINY_DENOISER if chosen.get("model") == "dncnn" else TINY
        whole = {"logger": "wandb", "paths.output_dir": str(tmp_path / "runs")} | tiny | chosen
        return [f"{key}={value}" for key, value in whole.items()]

    return call


@pytest.fixture
def online(server: Server) -> dict[str, str]:
    """The environment of a machine with a network and a key."""
    return {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY}
