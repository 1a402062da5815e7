"""Sweeps of tiny runs, and the command around them."""

import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from scripts.sweep import main
from tests.tiny import CLASSIFIER, CommandResult, command_line

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a sweep of tiny runs below tmp_path / "runs", with more lines of YAML, and return its file."""

    def make(more: str, name: str = "tiny", overrides: tuple[str, ...] = ()) -> Path:
        lines = [
            f"  - {line}" for line in (*command_line(CLASSIFIER), f"paths.output_dir={tmp_path / 'runs'}", *overrides)
        ]
        file = tmp_path / f"{name}.yaml"
        file.write_text("\n".join(["overrides:", *lines, more]) + "\n")
        return file

    return make


@pytest.fixture
def sweep(
    run_main: Callable[..., CommandResult], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., CommandResult]:
    """Call scripts/sweep.py within the process, on a machine without SLURM."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "bash").symlink_to(str(shutil.which("bash")))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{tmp_path / 'bin'}")

    return partial(run_main, main)
