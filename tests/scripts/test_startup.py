"""What commands import and need not: modules are counted here, seconds by `scripts/benchmark.py startup`."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SLOW = {"torch", "torchvision", "pytorch_lightning", "pandas", "matplotlib", "scipy", "numpy", "hydra", "wandb"}


def imported(script: str, *arguments: str) -> set[str]:
    """Return the top-level modules that a command has imported by its end, which must be a good one."""
    command = [sys.executable, "-X", "importtime", str(ROOT / "scripts" / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    times = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in times}


@pytest.mark.parametrize("script", sorted(path.name for path in ROOT.glob("scripts/*.py")))
def test_help_imports_nothing_slow(script):
    modules = imported(script, "--help")
    assert "argparse" in modules
    assert not modules & SLOW


@pytest.mark.parametrize("runs", ["cifar100_small", "denoise_small"])
def test_a_table_needs_pandas_and_nothing_slower(runs):
    assert imported("compare.py", str(ROOT / "results" / runs / "runs")) & SLOW == {"pandas", "numpy"}
