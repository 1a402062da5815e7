"""Calls of scripts/denoise.py with a denoiser that no run has trained."""

import pytest

from scripts import denoise as script
from tests.scripts.denoisers import Trained
from tests.tiny import CommandResult


@pytest.fixture
def denoise(monkeypatch, run_main):
    """Call the command with a denoiser, and return its exit code, stdout and stderr."""

    def call(trained: Trained, *arguments: object) -> CommandResult:
        monkeypatch.setattr("wconv.experiment.inference.load.load_denoiser", lambda run: trained)
        return run_main(script.main, "run", *arguments)

    return call
