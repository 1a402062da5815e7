"""Choose the best of the rows that differ only in one tuned key, such as the learning rate (`--best-of`).

The choice uses the validation metric, so that the test metric, which is compared afterwards, is not selected on.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wconv.experiment.common.metrics import METRICS, PRIMARY, heading

if TYPE_CHECKING:
    from wconv.experiment.reports.comparison import Group

MOST_SHOWN = 8  # candidates in a sentence


@dataclass(frozen=True)
class Choice:
    """Candidate rows, and the one that is chosen for the comparison.

    Attributes:
        key: the only key in which they differ.
        metric: logged name of the validation metric.
        candidates: the rows, in the order of the key.
        seeds: that `scores` are averaged over; empty if each row has its own.
        scores: mean of the metric of each row; nan if it has none.
        best: the chosen row.
    """

    key: str
    metric: str
    candidates: "Sequence[Group]"
    seeds: Sequence[int]
    scores: Sequence[float]
    best: "Group"

    @property
    def values(self) -> list[Any]:
        """The value of the key in each row."""
        return [group.features.get(self.key) for group in self.candidates]

    def __str__(self) -> str:
        """Describe the choice in a sentence."""
        shown = METRICS[self.metric.rpartition("/")[2]]
        texts = []
        for group, value, score in zip(self.candidates, self.values, self.scores, strict=True):
            diverged = f", {len(group.diverged)} diverged" if group.diverged else ""
            texts.append(f"{value} ({'-' if math.isnan(score) else shown.format(score)}{diverged})")
        seeds = f" over seeds {', '.join(map(str, self.seeds))}" if self.seeds else ""
        chosen = self.best.features.get(self.key)
        candidates = ", ".join(texts) if len(texts) <= MOST_SHOWN else f"{len(texts)} values"
        return f"{self.key} {chosen} is the best of {candidates} by mean {heading(self.metric)}{seeds}"


def choose(groups: "Sequence[Group]", key: str) -> "list[Choice]":
    """Choose the best row of each set of rows that differ only in one key.

    Rows are compared on the seeds that all rows of the set have. A row with a diverged run ranks behind all others.

    Args:
        groups: all rows, in the order of the key.
        key: the tuned key.

    Raises:
        ValueError: no run has a validation metric.
    """
    names = [f"val/{name}" for name in PRIMARY]
    metric = next(
        (name for name in names for group in groups for run in group.runs.values() if name in run.metrics), ""
    )
    if not metric:
        raise ValueError(f"--best-of {key} chooses by {' or '.join(names)}, which no run has")
    sets: dict[frozenset[tuple[str, Any]], list[Group]] = {}
    for group in groups:
        rest = frozenset((name, value) for name, value in group.identity.items() if name != key)
        sets.setdefault(rest, []).append(group)
    return [_choose(rows, key, metric) for rows in sets.values()]


def _choose(rows: "Sequence[Group]", key: str, metric: str) -> Choice:
    stable = [group for group in rows if not group.diverged] or rows
    shared = sorted(set.intersection(*(set(group.counted) for group in stable)))
    scores = [_mean(group, metric, shared) for group in rows]
    sign = 1 if METRICS[metric.rpartition("/")[2]].best == "max" else -1

    def rank(place: int) -> tuple[bool, float]:
        score = scores[place]
        return (not rows[place].diverged, -math.inf if math.isnan(score) else sign * score)

    return Choice(key, metric, rows, shared, scores, rows[max(range(len(rows)), key=rank)])


def _mean(group: "Group", metric: str, seeds: Sequence[int]) -> float:
    runs = [group.counted[seed] for seed in seeds or group.counted if seed in group.counted]
    values = [run.metrics.get(metric, math.nan) for run in runs]
    return sum(values) / len(values) if values else math.nan
