"""Run Python in a separate process, so that its memory and start-up time can be measured."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from wconv.experiment.common.checkout import ROOT
from wconv.experiment.common.exceptions import RunError


def run_python(words: Sequence[str], threads: int, checkout: Path = ROOT, **variables: str) -> str:
    """Run Python in a checkout, and return what it printed on standard output.

    Args:
        words: its arguments.
        threads: number of threads of PyTorch.
        checkout: working directory, from which wconv is imported.
        variables: environment variables to add to those of this process.

    Raises:
        RunError: it failed; the message is the last line of its standard error.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(checkout), **variables}
    done = subprocess.run([sys.executable, *words], cwd=checkout, env=environment, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise RunError(f"{lines[-1]} (python {' '.join(words)[:200]}, exit code {done.returncode})")
    return done.stdout
