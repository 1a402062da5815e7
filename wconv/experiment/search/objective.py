"""The objective of a search: train a density with each seed; the run folders serve as cache."""

import errno
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from wconv.experiment import run
from wconv.experiment.command_line.arguments import parse_command_line
from wconv.experiment.common.checkout import CONFIGS
from wconv.experiment.common.exceptions import ConfigError, Interrupted, RunError
from wconv.experiment.common.signals import stop_signal
from wconv.experiment.common.text import escape_control_characters
from wconv.experiment.runs.run import Run
from wconv.experiment.search.history import COMPLETED, FAILED, MOST_FAILURES, Evaluation, History, Outcome
from wconv.experiment.search.settings import DIGITS, Point, Settings

FULL = (errno.ENOSPC, errno.EDQUOT)
Report = Callable[[History, Evaluation], None]


class EvaluationsUsedUp(Exception):
    """A method asks for more evaluations than `search.evaluations`."""


def train(settings: Settings, point: Point, seed: int) -> Outcome:
    """Train a density with a seed, or read the result of an earlier training.

    A training that fails gives an outcome without a value.

    Raises:
        ConfigError: the arguments or the data are wrong, or the runs do not have the metric.
        Interrupted: it was stopped, or another process holds the run.
        RunError: the disk is full, which is not the fault of the density.
    """
    if stop_signal():
        raise Interrupted(f"stopped by {stop_signal()}; run the same command to continue")
    words = settings.training(point, seed)
    try:
        result = run(words)
    except (ConfigError, Interrupted):
        raise
    except RunError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in FULL:
            raise
        folder = run_folder(settings, words)
        print(f"warning: {folder.name}: {escape_control_characters(error)}", file=sys.stderr, flush=True)
        return Outcome(seed, None, None, folder.relative_to(settings.output_dir).as_posix())
    if settings.metric_name not in result.metrics:
        known = ", ".join(name for name in result.metrics if name.startswith("val/")) or "none of the validation set"
        raise ConfigError(f"search.metric={settings.metric_name}: the runs have {known}")
    value = result.metrics[settings.metric_name]
    finite = value is not None and math.isfinite(value)
    name = result.directory.relative_to(settings.output_dir).as_posix()
    return Outcome(seed, value if finite else None, int(result.results["epochs"]) if finite else None, name)


def run_folder(settings: Settings, words: Sequence[str]) -> Path:
    """Return the folder of a run."""
    config = parse_command_line(words, CONFIGS).config
    assert config is not None
    return Run(config, dict(settings.data), settings.output_dir).directory


def outcomes_of(settings: Settings, point: Point) -> Iterator[Outcome]:
    """Train a density with one seed after the other, until one fails."""
    for seed in settings.seeds:
        outcome = train(settings, point, seed)
        yield outcome
        if outcome.value is None:
            return


def status_of(outcomes: Sequence[Outcome]) -> str:
    """Return the status of an evaluation that was not pruned."""
    return FAILED if any(outcome.value is None for outcome in outcomes) else COMPLETED


class Objective:
    """The function that a method minimises; it records every evaluation.

    Args:
        settings: of the search.
        history: earlier evaluations, to which new ones are added.
        report: called for each evaluation.
    """

    def __init__(self, settings: Settings, history: History, report: Report) -> None:
        self.settings = settings
        self.history = history
        self.report = report

    def measure_references(self) -> None:
        """Evaluate the two references, which come first: the standard convolution and the published density."""
        for point in self.settings.references[len(self.history.evaluations) :]:
            self._evaluate(point)

    def __call__(self, coefficients: Sequence[float]) -> float:
        """Return the mean metric over the seeds, with the sign for minimisation.

        The density is rounded, and none is trained twice. A density that fails counts as bad as the worst so far.

        Raises:
            EvaluationsUsedUp: the budget of densities is used up.
            RunError: three evaluations in a row have failed; or as `train`.
        """
        point = tuple(round(float(value), DIGITS) for value in coefficients)
        found = self.history.find(point)
        if found is None:
            if len(self.history.tried) >= self.settings.evaluations:
                raise EvaluationsUsedUp
            found = self._evaluate(point)
        if found.status == COMPLETED:
            return self.settings.sign * found.mean
        before = [one for one in self.history.evaluations if one.number < found.number and one.status == COMPLETED]
        return max((self.settings.sign * one.mean for one in before), default=0.0)

    def _evaluate(self, point: Point) -> Evaluation:
        outcomes = tuple(outcomes_of(self.settings, point))
        one = Evaluation(len(self.history.evaluations), point, status_of(outcomes), outcomes)
        self.history.evaluations.append(one)
        self.history.save()
        self.report(self.history, one)
        stop_if_it_keeps_failing(self.history, self.settings)
        return one


def stop_if_it_keeps_failing(history: History, settings: Settings) -> None:
    """End a search whose last evaluations have all failed.

    Raises:
        RunError: the last three have failed.
    """
    if history.keeps_failing:
        last = settings.output_dir / history.evaluations[-1].outcomes[-1].run
        raise RunError(
            f"{MOST_FAILURES} evaluations in a row have failed, the last one in {last} (see error.log there); "
            "the same command tries the next density"
        )
