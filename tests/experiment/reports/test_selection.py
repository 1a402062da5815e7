"""Runs chosen by what they are."""

import re

import pytest

from wconv.experiment.reports.selection import select
from wconv.experiment.runs.saved_runs import SavedRun


@pytest.fixture
def runs(make_row, tmp_path):
    short = make_row("standard", [0.4, 0.5], trainer__max_epochs=5, optimizer__lr=0.1)
    long = make_row("weighted", [0.6], trainer__max_epochs=30, optimizer__lr=0.1)
    return [*short, *long, SavedRun(tmp_path, "failed", "no room")]


@pytest.mark.parametrize(
    ("conditions", "count"),
    [
        ([], 4),
        (["trainer.max_epochs=5"], 3),
        (["trainer.max_epochs=5.0", "optimizer.lr=1e-1"], 3),
        (["conv=weighted"], 2),
        (["optimizer.lr=0.1"], 4),
        (["conv=weighted", "conv=standard"], 4),
        (["conv=weighted", "trainer.max_epochs=30", "conv=standard"], 2),
    ],
)
def test_those_are_kept_that_meet_all_conditions_and_those_that_cannot_be_used(conditions, count, runs):
    kept = select(runs, conditions)
    assert len(kept) == count
    assert kept[-1].status == "failed"


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        (["trainer.max_epochs"], "--where trainer.max_epochs: write KEY=VALUE, such as trainer.max_epochs=15"),
        (["trainer.max_epoch=5"], "no run has a key trainer.max_epoch; did you mean trainer.max_epochs?"),
        (["trainer.max_epochs=7"], "--where trainer.max_epochs=7: no run is like that"),
        (["conv=weighted", "trainer.max_epochs=5"], "--where conv=weighted --where trainer.max_epochs=5: no run is"),
    ],
)
def test_a_condition_that_no_run_meets_is_one_sentence(conditions, message, runs):
    with pytest.raises(ValueError, match=re.escape(message)):
        select(runs, conditions)
