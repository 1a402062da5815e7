"""Runs that are in no folder: what the rows of a comparison are made of."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from wconv.experiment.runs.saved_runs import SavedRun

MakeRow = Callable[..., list[SavedRun]]


@pytest.fixture
def make_row() -> MakeRow:
    def make(
        arm: str,
        values: Sequence[float],
        metric: str = "test/acc",
        seeds: Sequence[int] | None = None,
        val: float | None = None,
        **features: object,
    ) -> list[SavedRun]:
        """Return a run a seed; features of a configuration are written with two underscores for a dot."""
        shared = {"model": "vgg", "init": "kaiming", "density": "-", "parameters": 100, "conv": arm}
        shared |= {name.replace("__", "."): value for name, value in features.items()}
        more = {} if val is None else {f"val/{metric.rpartition('/')[2]}": val}
        found = zip(range(len(values)) if seeds is None else seeds, values, strict=True)
        return [SavedRun(Path(f"{arm}-s{s}"), "completed", "", s, {metric: v} | more, shared) for s, v in found]

    return make
