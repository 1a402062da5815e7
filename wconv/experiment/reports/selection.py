"""Select runs by conditions on their configuration (`--where`)."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from wconv.experiment.reports.pairing import Reference
from wconv.experiment.runs.saved_runs import SavedRun


def select(runs: Iterable[SavedRun], conditions: Sequence[str]) -> list[SavedRun]:
    """Return the runs that meet all conditions, and all unusable ones, which a report must mention.

    Args:
        runs: what `find_runs` returned.
        conditions: KEY=VALUE, with the keys and values of config.yaml, such as "trainer.max_epochs=15"; of several with
            the same key, a run meets one.

    Raises:
        ValueError: a condition has another form, or no run meets all of them.
    """
    kept = list(runs)
    alternatives: dict[str, list[Reference]] = {}
    for condition in conditions:
        key, equals, text = condition.partition("=")
        if not equals:
            raise ValueError(f"--where {condition}: write KEY=VALUE, such as trainer.max_epochs=15")
        alternatives.setdefault(key, []).append(Reference({key: text}, ()))
    for key, wanted in alternatives.items():
        known = {name for run in kept for name in run.features}
        if key not in known:
            near = get_close_matches(key, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"--where {wanted[0]}: no run has a key {key}{hint}")
        kept = [run for run in kept if not run.features or any(each.is_met_by(run.features) for each in wanted)]
        if not any(run.features for run in kept):
            raise ValueError(f"--where {' --where '.join(conditions)}: no run is like that")
    return kept
