"""Pair the rows of a comparison with a reference row, and their runs by seed.

Two rows are paired if they differ only in the compared factor. A run that has diverged is in no pair.
"""

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wconv.experiment.reports.comparison import Comparison, Group, format_value
from wconv.experiment.runs.saved_runs import NULL, SavedRun

STANDARD = ("conv", "standard")  # the default reference
ARM = ("conv", "density")  # a density is part of an arm; an arm without density is the standard one
# Keys that follow from a choice: the density of the layers from the arm, the number of parameters from any key.
FOLLOWS = {"conv": ("density",)}
ALWAYS_FOLLOWS = "parameters"
NO_VALUE = ("null", "false", "0", "0.0")  # equivalent to a missing key


@dataclass(frozen=True)
class Reference:
    """The reference of a comparison.

    Attributes:
        conditions: key and value, as typed on the command line, that a reference row has.
        factors: keys in which, including all keys below them, paired rows may differ.
    """

    conditions: Mapping[str, str]
    factors: tuple[str, ...]

    def __str__(self) -> str:
        return ", ".join(f"{key}={value}" for key, value in self.conditions.items())

    def is_met_by(self, features: Mapping[str, Any]) -> bool:
        """Whether a row is a reference."""
        return all(_has_value(features.get(key), text) for key, text in self.conditions.items())

    def may_differ(self, key: str) -> bool:
        """Whether paired rows may differ in a key."""
        names = [name for factor in self.factors for name in (factor, *FOLLOWS.get(factor, ()))]
        return key == ALWAYS_FOLLOWS or any(key == name or key.startswith(f"{name}.") for name in names)


@dataclass(frozen=True)
class Pairing:
    """A row and its reference row.

    Attributes:
        row: index of the row in the table.
        group: runs of the row.
        reference: runs of the reference row; None if there is no valid one.
        refusal: why there is none.
    """

    row: int
    group: Group
    reference: Group | None
    refusal: str = ""

    def values(self, metric: str) -> NDArray[np.float64]:
        """Return the values of the pairs, (2, pairs), first those of the row, ordered by seed.

        Args:
            metric: logged name of the compared metric.
        """
        pairs = [pair for pair, reason in self._seeds(metric).values() if not reason]
        return np.array([[run.metrics[metric] for run in pair] for pair in pairs], float).reshape(-1, 2).T

    def left_out(self, metric: str) -> dict[str, list[int]]:
        """Return the seeds without a pair, by reason."""
        found: dict[str, list[int]] = {}
        for seed, (_, reason) in self._seeds(metric).items():
            if reason:
                found.setdefault(reason, []).append(seed)
        return found

    def _seeds(self, metric: str) -> dict[int, tuple[list[SavedRun], str]]:
        """Return the one or two runs of each seed, and why they are not a pair, if so."""
        if self.reference is None:
            return {}
        both = (self.group.runs, self.reference.runs)
        seeds = sorted(self.group.runs.keys() | self.reference.runs.keys())
        found = {seed: [runs[seed] for runs in both if seed in runs] for seed in seeds}
        return {seed: (runs, _no_pair(runs, metric)) for seed, runs in found.items()}


def _no_pair(runs: Sequence[SavedRun], metric: str) -> str:
    values = [run.metrics.get(metric, math.nan) for run in runs]
    if any(run.has_diverged for run in runs):
        return "diverged"
    if len(runs) < 2:
        return "no partner"
    if any(math.isnan(value) for value in values):
        return f"no {metric}"
    return "" if all(map(math.isfinite, values)) else f"infinite {metric}"


def choose_reference(comparison: Comparison, against: Sequence[str] = (), by: str = "") -> Reference | None:
    """Return the reference; None if none was requested and there is no row of `conv=standard`.

    Args:
        comparison: with the rows, which may also differ in the key tuned by `best_of`.
        against: conditions KEY=VALUE, all of which a reference meets.
        by: a further key in which paired rows may differ. Without `against`, the reference is the value of this key
            with which the most rows can be compared.

    Raises:
        ValueError: no run has the key or the value, or all runs have it.
    """
    conditions = {}
    for condition in against:
        key, equals, text = condition.partition("=")
        if not equals:
            raise ValueError(f"--against {condition}: write KEY=VALUE, such as conv=standard")
        conditions[comparison.find_key(key)] = text
    by = comparison.find_key(by) if by else ""
    free = (*([by] if by else []), *{choice.key for choice in comparison.choices})
    if not conditions and by in ("", *ARM) and _count(comparison, dict([STANDARD])):
        conditions = dict([STANDARD])
    if not conditions and by:
        values = dict.fromkeys(format_value(group.features.get(by, NULL)) for group in comparison.groups)
        if len(values) == 1:
            raise ValueError(f"--by {by}: every run has {by}={next(iter(values))}, and there is nothing to compare")
        candidates = [Reference({by: value}, free) for value in values]
        return max(candidates, key=lambda found: sum(row.reference is not None for row in pair(comparison, found)))
    reference = Reference(conditions, (*conditions, *free))
    count = _count(comparison, conditions)
    if not against and (not conditions or count == len(comparison.groups)):
        return None
    if not count:
        raise ValueError(f"--against {reference}: no run is that; {_values_of(comparison, conditions)}")
    if count == len(comparison.groups):
        raise ValueError(f"--against {reference}: every run is that, and there is nothing to compare with it")
    return reference


def _count(comparison: Comparison, conditions: Mapping[str, str]) -> int:
    """Return the number of rows that meet some conditions."""
    return sum(Reference(conditions, ()).is_met_by(group.features) for group in comparison.groups)


def pair(comparison: Comparison, reference: Reference) -> list[Pairing]:
    """Return each row that is not a reference, paired with its reference row."""
    groups, varying = comparison.groups, _varying(comparison.groups, reference)
    others: dict[tuple[Any, ...], list[Group]] = {}
    for group in groups:
        if reference.is_met_by(group.features):
            others.setdefault(_values(group, varying), []).append(group)
    pairings = []
    for row, group in enumerate(groups):
        if reference.is_met_by(group.features):
            continue
        found = others.get(_values(group, varying), [])
        if len(found) > 1:  # conv=ablation without any part is also the standard arm, although it has a density
            found = [other for other in found if other.features["density"] == "-"] or found
        if len(found) == 1:
            pairings.append(Pairing(row, group, found[0]))
        elif found:
            reason = f"{len(found)} rows are {reference}; give --against a second time, with what tells them apart"
            pairings.append(Pairing(row, group, None, reason))
        else:
            nearest = min(others, key=lambda values: sum(map(operator.ne, values, _values(group, varying))))
            pairings.append(Pairing(row, group, None, _differences(group, nearest, varying, reference)))
    return pairings


def _varying(groups: Sequence[Group], reference: Reference) -> list[str]:
    """Return the keys in which rows differ although paired rows must not."""
    keys = dict.fromkeys(key for group in groups for key in group.identity)
    fixed = [key for key in keys if not reference.may_differ(key)]
    return [key for key in fixed if len({group.identity.get(key) for group in groups}) > 1]


def _values(group: Group, keys: Iterable[str]) -> tuple[Any, ...]:
    return tuple(group.identity.get(key) for key in keys)


def _differences(group: Group, nearest: Sequence[Any], keys: Sequence[str], reference: Reference) -> str:
    pairs = zip(keys, _values(group, keys), nearest, strict=True)
    texts = [f"{key} ({_text(ours)} and {_text(theirs)})" for key, ours, theirs in pairs if ours != theirs]
    shown = ", ".join(texts[:3]) + (f" and {len(texts) - 3} more keys" if len(texts) > 3 else "")
    return f"it differs from the nearest row of {reference} in more than the compared factor: {shown}"


def _text(value: Any) -> str:
    return "none" if value is None else format_value(value)


def _has_value(value: Any, text: str) -> bool:
    """Whether a value equals a typed text: 0.10 is 0.1, and a missing key is null, false or zero."""
    if value is None or value == NULL:
        return text in NO_VALUE
    if format_value(value) == text:
        return True
    try:
        return not isinstance(value, bool | str) and float(text) == value
    except ValueError:
        return False


def _values_of(comparison: Comparison, keys: Iterable[str]) -> str:
    """List the values of some keys, for a message."""
    texts = []
    for key in keys:
        values = dict.fromkeys(_text(group.features.get(key)) for group in comparison.groups)
        texts.append(f"{key} is {', '.join(list(values)[:8])}{', ...' if len(values) > 8 else ''}")
    return "; ".join(texts)
