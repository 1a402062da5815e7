"""Of rows that differ in one tuned key alone, such as the learning rate, the best on held-out images.

The choice is made on the validation metric, so that the test metric, which is compared afterwards, is that of one row.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wconv.experiment.common.metrics import METRICS, PRIMARY, heading

if TYPE_CHECKING:
    from wconv.experiment.reports.comparison import Group

MOST_SHOWN = 8  # candidates


@dataclass(frozen=True)
class Choice:
    """Rows of which one is compared.

    Attributes:
        key: in which alone they differ.
        metric: logged name of the validation metric.
        candidates: the rows, in the order of the key.
        seeds: which the means below are over; empty where each row has its own.
        scores: the mean of the metric of each row; nan where it has none.
        best: the row that is compared.
    """

    key: str
    metric: str
    candidates: "Sequence[Group]"
    seeds: Sequence[int]
    scores: Sequence[float]
    best: "Group"

    @property
    def values(self) -> list[Any]:
        """What the key is in each row."""
        return [group.features.get(self.key) for group in self.candidates]

    def __str__(self) -> str:
        """Say what was chosen from what."""
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
    """Choose of each set of rows that differ in one key alone the best.

    Rows are compared on the seeds that all of the set have. A row of which a run has diverged is behind all others.

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
