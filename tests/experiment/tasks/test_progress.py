"""The lines of a log: how far a run is, how long it will take, and what would make a long one quicker."""

import re
from types import SimpleNamespace

import pytest

from wconv.experiment.tasks import progress


class Clock:
    """Of which every look takes some seconds."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def monotonic(self) -> float:
        self.now += self.step
        return self.now


@pytest.mark.parametrize(("step", "unit"), [(0.1, "s"), (10, "min"), (2000, "h")])
def test_epoch_lines_end_with_the_time_left(step, unit, train, monkeypatch):
    monkeypatch.setattr(progress, "time", Clock(step))
    done = train("trainer.max_epochs=3", "callbacks.progress.every_seconds=1e9")
    assert done.code == 0, done.err
    assert re.search(r"^training vgg-[\w-]+: 3 epochs of \d+ batches$", done.out, re.MULTILINE)
    first, second, last = [line for line in done.out.splitlines() if line.startswith("epoch ")]
    left = [float(re.fullmatch(rf"epoch ./3 .* ([\d.]+) {unit} left", line)[1]) for line in (first, second)]
    assert left[0] > left[1] > 0
    assert "left" not in last


def test_the_first_batch_which_is_slow_counts_once(monkeypatch, capsys):
    clock = Clock(0)
    monkeypatch.setattr(progress, "time", clock)
    trainer = SimpleNamespace(
        global_step=0, estimated_stepping_batches=10, default_root_dir="runs/vgg", max_epochs=2,
        num_training_batches=5, current_epoch=0, callback_metrics={},
    )  # fmt: skip
    bar = progress.PlainProgress(every_seconds=1e9)
    bar.on_train_start(trainer, None)
    for clock.now, trainer.global_step in [(100, 1), (101, 2), (102, 3), (103, 4), (104, 5)]:
        bar.on_train_batch_end(trainer)
    bar.on_validation_end(trainer, None)
    assert capsys.readouterr().out.endswith("  5 s left\n")


@pytest.mark.parametrize(
    ("options", "advice"),
    [((), "; quicker: fast=true (a different run) or a GPU"), (("fast=true",), "; quicker: a GPU")],
)
def test_a_long_run_says_so_once_and_what_would_make_it_quicker(options, advice, train, monkeypatch):
    monkeypatch.setattr(progress, "time", Clock(2000))
    done = train("trainer.max_epochs=3", "callbacks.progress.every_seconds=1e9", *options)
    (line,) = [line for line in done.out.splitlines() if line.startswith("this run takes ")]
    assert re.fullmatch(rf"this run takes [\d.]+ h more{re.escape(advice)}", line)


def test_a_short_run_says_nothing_of_the_kind(train):
    assert "this run takes" not in train("trainer.max_epochs=2").out
