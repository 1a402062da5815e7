"""train.py and the scripts as programs that talk to a small W&B server."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers import serving
from tests.tiny import CLASSIFIER, DENOISER, CommandResult, command_line
from tests.wandb_runs.fake_server import Server

ROOT = Path(__file__).resolve().parents[2]
KEY = "0123456789" * 4  # of the form of a key
# train.py, in which something happens right after an epoch was recorded.
DISTURBED = """
import glob, os, signal, sys, time
sys.path.insert(0, {root!r})
sys.argv[0] = {root!r} + "/train.py"
import train
from wconv.experiment.reports.wandb.callback import WandbEpochCallback
original = WandbEpochCallback.on_train_epoch_end
def on_train_epoch_end(self, trainer, module):
    original(self, trainer, module)
    if trainer.current_epoch == {epoch}:
        {what}
WandbEpochCallback.on_train_epoch_end = on_train_epoch_end
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
    with serving(Server()) as running:
        yield running


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment in which W&B knows nothing of the machine's user."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "SLURM_"))}
    home = tmp_path / "home"
    home.mkdir()
    return kept | {"HOME": str(home), "NETRC": str(home / "none")}


@pytest.fixture
def program(tmp_path: Path, environment: dict[str, str]) -> Callable[..., CommandResult]:
    """Run a program of the checkout in an empty folder and wait for it."""
    here = tmp_path / "here"
    here.mkdir()

    def call(script: str, *arguments: str, **more: str) -> CommandResult:
        command = [sys.executable, str(ROOT / script), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=here, env=environment | more, timeout=300)
        assert list(here.iterdir()) == []  # nothing is left where one happens to be
        return CommandResult(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def train_with_hook(tmp_path: Path, environment: dict[str, str]) -> Callable[..., CommandResult]:
    """Run train.py with a disturbance at the end of an epoch."""

    def call(epoch: int, what: str, *line: str, **more: str) -> CommandResult:
        code = DISTURBED.format(root=str(ROOT), epoch=epoch, what=what)
        command = [sys.executable, "-c", code, *line]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment | more, capture_output=True, text=True, timeout=300
        )
        return CommandResult(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def arguments(tmp_path: Path) -> Callable[..., list[str]]:
    """Return the command line of a tiny run with more options."""

    def call(*options: str) -> list[str]:
        tiny = DENOISER if "model=dncnn" in options else CLASSIFIER | {"trainer.max_epochs": "3"}
        return command_line({"logger": "wandb", "paths.output_dir": str(tmp_path / "runs")} | tiny, *options)

    return call


@pytest.fixture
def online(server: Server) -> dict[str, str]:
    """The environment of a machine with a network and a key."""
    return {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY}
