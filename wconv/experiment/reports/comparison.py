"""Compare runs in groups: the runs of a group differ only in the seed.

A run has diverged if one of its final metrics is not finite (`metrics.not_finite`), or if training ended because the
loss was not. A diverged run is excluded from the means, bands and n of its group, but counted and named wherever
results are averaged.
"""

import json
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from typing import Any

import pandas as pd

from wconv.experiment.common.metrics import TABLE, TILED, is_score
from wconv.experiment.reports.best_of import Choice, choose
from wconv.experiment.reports.statistics import half_widths
from wconv.experiment.runs import arm_styles
from wconv.experiment.runs.saved_runs import COSTS, SavedRun

KEY_COLUMNS = ("model", "conv", "init", "density")


@dataclass
class Group:
    """Completed runs that differ only in the seed.

    Attributes:
        features: the settings that they share.
        runs: one run per seed.
        notes: a sentence for each run that was excluded because its seed was there already, with other metrics.
    """

    features: Mapping[str, Any]
    runs: dict[int, SavedRun] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, run: SavedRun) -> None:
        """Add a run, unless its seed is already there."""
        first = self.runs.setdefault(run.seed, run)
        # As text, because nan is not equal to itself.
        if json.dumps(first.metrics, sort_keys=True) != json.dumps(run.metrics, sort_keys=True):
            self.notes.append(
                f"Same configuration and seed {run.seed}, other metrics: "
                f"{first.folder} is counted, {run.folder} is not."
            )

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What distinguishes it from other groups, by key."""
        return dict(next(iter(self.runs.values())).identity)

    @property
    def counted(self) -> dict[int, SavedRun]:
        """The runs that means are taken over, by seed."""
        return {seed: run for seed, run in self.runs.items() if not run.has_diverged}

    @property
    def diverged(self) -> dict[int, SavedRun]:
        """The runs that have diverged, by seed."""
        return {seed: run for seed, run in self.runs.items() if run.has_diverged}


class Comparison:
    """A comparison of completed runs.

    Args:
        runs: what `find_runs` or `read_run` returned.
        best_of: a configuration key; of groups that differ only in it, the best on the validation set is kept.

    Attributes:
        groups: runs that differ only in the seed; standard before weighted.
        columns: configuration keys that distinguish groups, besides those always shown, and their headings.
        choices: the choices made for `best_of`.
        left_out: the runs that are neither completed nor diverged.

    Raises:
        ValueError: there is no completed run, or none with the key `best_of`.
    """

    def __init__(self, runs: Iterable[SavedRun], best_of: str = "") -> None:
        found: dict[Hashable, Group] = {}
        self.left_out: list[SavedRun] = []
        for run in runs:
            if run.status == "completed" or run.has_diverged:
                found.setdefault(run.identity, Group(run.features)).add(run)
            else:
                self.left_out.append(run)
        if not found:
            raise ValueError("no completed run among those found; let one finish (train.py resumes where it stopped)")
        self._arrange(list(found.values()))
        self.choices: list[Choice] = []
        if best_of:
            tuned = self.find_key(best_of)
            self.choices = choose(self.groups, tuned)
            self._arrange([choice.best for choice in self.choices])
            heading = self.columns.get(tuned, tuned.rpartition(".")[2])
            self.columns[tuned] = f"{heading} (best on {self.choices[0].metric})"

    def _arrange(self, groups: Sequence[Group]) -> None:
        """Set the groups, in order, and the columns that distinguish them."""
        self.columns = _differing(groups)
        keys = ("model", *self.columns, "init")

        def place(group: Group) -> list[tuple[Any, ...]]:
            features = group.features
            arm = arm_styles.rank(features["conv"])
            return [*(_place(features.get(key)) for key in keys), (*arm, features["density"], features["parameters"])]

        self.groups = sorted(groups, key=place)

    def find_key(self, name: str) -> str:
        """Return the configuration key of a name: a dotted key, or a heading of the table.

        Raises:
            ValueError: no run has such a key; the message suggests a similar one.
        """
        keys = dict.fromkeys(key for group in self.groups for key in group.features)
        headings = {heading.partition(" (")[0]: key for key, heading in self.columns.items()}
        if name in keys or name in headings:
            return name if name in keys else headings[name]
        near = get_close_matches(name, [*keys, *headings], 1)
        raise ValueError(f"no run has a key {name}" + (f"; did you mean {near[0]}?" if near else ""))

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per group: its settings, n, the metrics over the n runs, and their costs, unrounded.

        A metric has the mean and the standard deviation (ddof=1), and, for groups of several runs, the 95 % t-interval
        of the mean; none of these if it is missing in one of the n runs. If any run has diverged, a column `diverged`
        follows n.
        """
        columns = {key: key for key in KEY_COLUMNS} | self.columns
        rows = [{name: group.features.get(key, "-") for key, name in columns.items()} for group in self.groups]
        # As objects, because pandas would convert integers in a column with gaps to floats.
        what = pd.DataFrame(rows, dtype=object).assign(n=[len(group.counted) for group in self.groups])
        if self.diverged:
            what["diverged"] = [len(group.diverged) for group in self.groups]
        measured = [{name: _score(run.metrics, name) for name in self.measured} for run in self.counted]
        of_group = [row for row, group in enumerate(self.groups) for _ in group.counted]
        values = pd.DataFrame(measured, columns=self.measured, dtype=float).groupby(of_group)
        means, deviations = values.mean(skipna=False), values.std(skipna=False)
        spread: dict[str, pd.Series[float]] = {}
        counts = what["n"].reindex(means.index)
        for name in self.measured:
            spread |= {f"{name} mean": means[name], f"{name} std": deviations[name]}
            if self.has_repeated_runs:
                half = half_widths(deviations[name], counts)
                spread |= {f"{name} 95% low": means[name] - half, f"{name} 95% high": means[name] + half}
        costs = pd.DataFrame([run.costs for run in self.counted], columns=list(COSTS), dtype=float)
        taken = costs.groupby(of_group).mean()[["seconds", "peak_memory_mb"]]
        return (
            what.join(pd.DataFrame(spread))
            .join(taken)
            .assign(parameters=[group.features["parameters"] for group in self.groups])
            .join(costs["macs"].groupby(of_group).mean())
        )

    @property
    def has_repeated_runs(self) -> bool:
        """Whether a group has several runs to average."""
        return any(len(group.counted) > 1 for group in self.groups)

    @cached_property
    def measured(self) -> list[str]:
        """The metrics of all runs, those for tables first."""
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


def _score(metrics: Mapping[str, float], name: str) -> float:
    value = metrics.get(name, math.nan)
    return value if is_score(name, value) else math.nan


def _differing(groups: Sequence[Group]) -> dict[str, str]:
    """Return the configuration keys that distinguish groups, besides those always shown, and their headings."""
    keys = dict.fromkeys(key for group in groups for key in group.features if key not in KEY_COLUMNS)
    keys.pop("parameters", None)

    def kinds(*some: str) -> set[tuple[Any, ...]]:
        return {tuple(group.features.get(key) for key in some) for group in groups}

    # A key that some groups lack, such as the momentum of SGD, usually follows from another, such as the optimiser.
    shown = [key for key in keys if len(kinds(key) - {(None,)}) > 1]
    for key in keys:
        if len(kinds(*KEY_COLUMNS, *shown, key)) > len(kinds(*KEY_COLUMNS, *shown)):
            shown.append(key)
    taken = {"n", "diverged", "mean", "std", "parameters", *KEY_COLUMNS, *COSTS}
    short = [key.rpartition(".")[2] for key in keys]

    def name(key: str) -> str:
        last = key.rpartition(".")[2]
        if last not in taken and short.count(last) == 1:
            return last
        return f"config.{key}" if key in taken else key

    return {key: name(key) for key in shown}


def _place(value: Any) -> tuple[bool, float, str]:
    """Return a sort key: numbers by size, then everything else by name; true before false."""
    if isinstance(value, bool):
        return (True, float(not value), "")
    if isinstance(value, int | float):
        return (False, value, "")
    return (True, 0.0, str(value))


def format_value(value: Any) -> str:
    """Format a value as typed on the command line."""
    return str(value).lower() if isinstance(value, bool) else str(value)
