"""Runs that nothing happens to, to compare with, and rows for the table of injected faults."""

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fault_harness import ALWAYS, CLASSIFIER, DENOISER, Command, reference_run


@pytest.fixture(scope="module")
def classifier(tmp_path_factory) -> Command:
    return reference_run(tmp_path_factory.mktemp("classifier"), *CLASSIFIER, *ALWAYS)


@pytest.fixture(scope="module")
def denoiser(tmp_path_factory) -> Command:
    return reference_run(tmp_path_factory.mktemp("denoiser"), *DENOISER, *ALWAYS)


@pytest.fixture
def chance() -> random.Random:
    return random.Random(0)
