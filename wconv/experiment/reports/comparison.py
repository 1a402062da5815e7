"""Runs in groups that differ in more than the seed: what tells the groups apart, and what was measured in each.

A run has diverged if one of its final metrics is not a finite number (`metrics.not_finite`), or the training ended at a
loss that was none. It is in no mean, band or
n: these are of the other runs of its group. It is counted and named instead, wherever results are averaged.
"""

import json
import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from wconv.experiment.common.metrics import TABLE, TILED, is_score, not_finite
from wconv.experiment.runs import arm_styles
from wconv.experiment.runs.saved_runs import SavedRun

KEY_COLUMNS = ("model", "conv", "init", "density")


@dataclass
class Group:
    """Completed runs that differ in nothing but the seed.

    Attributes:
        features: what they share.
        runs: one run a seed.
        notes: a sentence for each run left out because its seed was there already, with other metrics.
    """

    features: Mapping[str, Any]
    runs: dict[int, SavedRun] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, run: SavedRun) -> None:
        """Take a run in, unless its seed is there."""
        first = self.runs.setdefault(run.seed, run)
        # As text, because nan is not equal to itself.
        if json.dumps(first.metrics, sort_keys=True) != json.dumps(run.metrics, sort_keys=True):
            self.notes.append(
                f"Same configuration and seed {run.seed}, other metrics: "
                f"{first.folder} is counted, {run.folder} is not."
            )

    @property
    def counted(self) -> dict[int, SavedRun]:
        """The runs that means are taken over, by seed."""
        return {seed: run for seed, run in self.runs.items() if not run.has_diverged}

    @property
    def diverged(self) -> dict[int, SavedRun]:
        """The runs that have diverged, by seed."""
        return {seed: run for seed, run in self.runs.items() if run.has_diverged}


class Comparison:
    """Completed runs side by side.

    Args:
        runs: what `find_runs` or `read_run` returned.

    Attributes:
        groups: runs that differ in nothing but the seed, standard before weighted.
        columns: the configuration keys that tell groups apart, besides those shown always, and their headings.
        left_out: the runs that are neither completed nor diverged.

    Raises:
        ValueError: there is no completed run.
    """

    def __init__(self, runs: Iterable[SavedRun]) -> None:
        found: dict[Hashable, Group] = {}
        self.left_out: list[SavedRun] = []
        for run in runs:
            if run.status == "completed" or run.has_diverged:
                found.setdefault(run.identity, Group(run.features)).add(run)
            else:
                self.left_out.append(run)
        if not found:
            raise ValueError("no completed run among those found; let one finish (train.py resumes where it stopped)")
        groups = list(found.values())
        self.columns = _differing(groups)
        keys = ("model", *self.columns, "init")

        def place(group: Group) -> list[tuple[Any, ...]]:
            features = group.features
            arm = arm_styles.rank(features["conv"])
            return [*(_place(features.get(key)) for key in keys), (*arm, features["density"], features["parameters"])]

        self.groups = sorted(groups, key=place)

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a group: what it is, n, mean and standard deviation (ddof=1) over the n runs of each metric, raw.

        A column `diverged` follows n where a run has diverged. A metric that is missing in one of the n runs has
        neither mean nor standard deviation.
        """
        columns = {key: key for key in KEY_COLUMNS} | self.columns
        rows = [{name: group.features.get(key, "-") for key, name in columns.items()} for group in self.groups]
        # As objects, because pandas would turn the whole numbers of a column with gaps into fractions.
        what = pd.DataFrame(rows, dtype=object).assign(n=[len(group.counted) for group in self.groups])
        if self.diverged:
            what["diverged"] = [len(group.diverged) for group in self.groups]
        measured = [{name: _score(run.metrics, name) for name in self.measured} for run in self.counted]
        of_group = [row for row, group in enumerate(self.groups) for _ in group.counted]
        values = pd.DataFrame(measured, columns=self.measured, dtype=float).groupby(of_group)
        means, deviations = values.mean(skipna=False), values.std(skipna=False)
        spread: dict[str, pd.Series[float]] = {}
        for name in self.measured:
            spread |= {f"{name} mean": means[name], f"{name} std": deviations[name]}
        return what.join(pd.DataFrame(spread)).assign(
            parameters=[group.features["parameters"] for group in self.groups]
        )

    @property
    def measured(self) -> list[str]:
        """The metrics of all runs: those for readers first."""
        found = dict.fromkeys(name for group in self.groups for run in group.runs.values() for name in run.metrics)
        return [name for name in TABLE if name in found] + sorted(found.keys() - {*TABLE, TILED})

    @property
    def counted(self) -> list[SavedRun]:
        """The runs that means are taken over, in the order of the groups."""
        return [run for group in self.groups for run in group.counted.values()]

    @property
    def diverged(self) -> list[SavedRun]:
        """The runs that have diverged, in the order of the groups."""
        return [run for group in self.groups for run in group.diverged.values()]

    @property
    def notes(self) -> list[str]:
        """What a reader of the table has to know: what it rests on, and which runs are not in it."""
        notes = [_basis(self.groups)]
        for run in self.diverged:
            names = not_finite(run.metrics)
            are = "is not a finite number" if len(names) == 1 else "are not finite numbers"
            notes.append(f"Diverged, in no mean: {run.folder} (seed {run.seed}): {', '.join(names)} {are}.")
        notes += [note for group in self.groups for note in (*group.notes, *self._missing(group))]
        notes += _tiled(self.counted)
        for run in self.left_out:
            notes.append(f"Not in the table: {run.folder}: {run.status}{run.reason and f' ({run.reason})'}")
        return notes

    def _missing(self, group: Group) -> Iterator[str]:
        for run in group.counted.values():
            others = {name for other in group.counted.values() for name in other.metrics} - {TILED}
            if missing := sorted(others - run.metrics.keys()):
                yield f"No mean of {', '.join(missing)}: {run.folder} (seed {run.seed}) lacks it."


def _score(metrics: Mapping[str, float], name: str) -> float:
    value = metrics.get(name, math.nan)
    return value if is_score(name, value) else math.nan


def _differing(groups: Sequence[Group]) -> dict[str, str]:
    """Return the configuration keys that tell groups apart, besides the columns shown always, and their headings."""
    keys = dict.fromkeys(key for group in groups for key in group.features if key not in KEY_COLUMNS)
    keys.pop("parameters", None)

    def kinds(*some: str) -> set[tuple[Any, ...]]:
        return {tuple(group.features.get(key) for key in some) for group in groups}

    # A key that some lack, such as the momentum of SGD, mostly follows from another one, such as the optimiser.
    shown = [key for key in keys if len(kinds(key) - {(None,)}) > 1]
    for key in keys:
        if len(kinds(*KEY_COLUMNS, *shown, key)) > len(kinds(*KEY_COLUMNS, *shown)):
            shown.append(key)
    taken = ["n", "diverged", "mean", "std", *KEY_COLUMNS]
    short = [key.rpartition(".")[2] for key in keys] + taken
    return {key: last if short.count(last := key.rpartition(".")[2]) == 1 else key for key in shown}


def _place(value: Any) -> tuple[bool, float, str]:
    """Sort numbers by size, before all the rest by name; true before false."""
    if isinstance(value, bool):
        return (True, float(not value), "")
    if isinstance(value, int | float):
        return (False, value, "")
    return (True, 0.0, str(value))


def _basis(groups: Sequence[Group]) -> str:
    """Say how many seeds the figures rest on."""
    seeds = {tuple(sorted(group.counted)) for group in groups}
    counts = sorted({len(some) for some in seeds})
    if counts == [0]:
        return "Every run has diverged: there is nothing to take a mean of."
    if len(seeds) == 1:
        text = f"Seeds of every row: {', '.join(map(str, seeds.pop()))}."
    else:
        per_row = ", ".join(map(str, counts))
        text = f"The rows rest on different seeds ({per_row} a row)."
    if counts[-1] > 1:
        text += " Mean ± sample standard deviation over the seeds."
    if 1 in counts:
        text += " With n = 1 the spread over seeds is not known: a difference between two such rows may be chance."
    return text


def _tiled(runs: Iterable[SavedRun]) -> Iterator[str]:
    """Say of each run whose test images were too large to denoise whole how many these were."""
    for run in runs:
        if count := run.metrics.get(TILED):
            yield f"{run.folder}: {count:.0f} test images were denoised in tiles, which for this model is approximate."


def format_value(value: Any) -> str:
    """Write a value as one types it on the command line."""
    return str(value).lower() if isinstance(value, bool) else str(value)
