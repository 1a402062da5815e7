"""Main effects of start, step and decay, if all eight combinations of them were trained.

For each seed: the mean of the four arms with the part minus the mean of the four without. This uses all eight runs of a
seed for each of the three parts, so it varies less than the difference between two arms.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wconv.experiment.reports.comparison import Group
from wconv.experiment.reports.effects import Effect, Effects
from wconv.experiment.reports.sentences import Judged
from wconv.experiment.runs.arm_styles import PARTS, combined_parts


@dataclass(frozen=True)
class Worth:
    """The main effect of a part of the operator in one setting.

    Attributes:
        name: "with start" for the arms with that part, after the name of the setting if there are several.
        judged: the test result.
        sentence: the conclusion in words.
    """

    name: str
    judged: Judged
    sentence: str


def worth_of_parts(effects: Effects) -> list[Worth]:
    """Return the effect of each part, in each setting with runs of all eight combinations.

    Args:
        effects: of all arms, against the standard convolution.

    Raises:
        ValueError: no setting has them with a seed in common.
    """
    found: list[tuple[str, NDArray[np.float64]]] = []
    for rows in _settings(effects.rows):
        arms = _arms(rows)
        seeds = _common_seeds(list(arms.values()), effects.metric)
        if len(arms) < 2 ** len(PARTS) or not seeds:
            continue
        for part in PARTS:
            halves = [[arm for parts, arm in arms.items() if (part in parts) is has] for has in (True, False)]
            pairs = [[_mean(half, seed, effects.metric) for seed in seeds] for half in halves]
            found.append((": ".join(filter(None, (rows[0].name.setting, f"with {part}"))), np.array(pairs)))
    if not found:
        eight = "all eight combinations of start, step and decay"
        raise ValueError(f"--parts: no setting has runs of {eight} with a seed in common (configs/sweep/ablation.yaml)")
    judged = effects.judge([pairs for _, pairs in found])
    return [Worth(name, one, effects.say(name, one)) for (name, _), one in zip(found, judged, strict=True) if one]


def _settings(rows: Sequence[Effect]) -> list[list[Effect]]:
    """Group the rows that are compared with the same reference."""
    found: dict[int, list[Effect]] = {}
    for row in rows:
        if row.pairing.reference:
            found.setdefault(id(row.pairing.reference), []).append(row)
    return list(found.values())


def _arms(rows: Sequence[Effect]) -> Mapping[frozenset[str], Group]:
    """Return the runs of each combination of the parts."""
    groups = [row.pairing.group for row in rows]
    if rows[0].pairing.reference:
        groups.append(rows[0].pairing.reference)
    parts = [(combined_parts(str(group.features["conv"])), group) for group in groups]
    return {combined: group for combined, group in parts if combined is not None}


def _common_seeds(groups: Sequence[Group], metric: str) -> list[int]:
    """Return the seeds with which every group has a run that has not diverged."""
    seeds = [{seed for seed, run in group.counted.items() if metric in run.metrics} for group in groups]
    return sorted(set.intersection(*seeds)) if seeds else []


def _mean(groups: Sequence[Group], seed: int, metric: str) -> float:
    return float(np.mean([group.counted[seed].metrics[metric] for group in groups]))
