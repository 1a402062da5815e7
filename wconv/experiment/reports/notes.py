"""Notes on a comparison: the seeds it rests on, choices made, and runs that are not in it."""

from collections.abc import Iterable, Iterator, Sequence

from wconv.experiment.common.metrics import TILED, not_finite
from wconv.experiment.reports.comparison import Comparison, Group
from wconv.experiment.reports.row_names import name_rows
from wconv.experiment.runs.saved_runs import SavedRun


def notes(comparison: Comparison) -> list[str]:
    """Return the notes, one sentence each."""
    found = [_basis(comparison.groups), *_chosen(comparison)]
    rejected = [group for choice in comparison.choices for group in choice.candidates if group is not choice.best]
    for run in [run for group in (*comparison.groups, *rejected) for run in group.diverged.values()]:
        names = not_finite(run.metrics)
        are = "is not a finite number" if len(names) == 1 else "are not finite numbers"
        found.append(f"Diverged, in no mean: {run.folder} (seed {run.seed}): {', '.join(names)} {are}.")
    found += [note for group in comparison.groups for note in (*group.notes, *_missing(group))]
    found += _tiled(comparison.counted)
    if any(run.costs.get("seconds") for run in comparison.counted):
        found.append(
            "Time: of the training, which depends on what else ran. Memory: peak of the process, or of the GPU."
        )
    for run in comparison.left_out:
        found.append(f"Not in the table: {run.folder}: {run.status}{run.reason and f' ({run.reason})'}")
    return found


def _basis(groups: Sequence[Group]) -> str:
    """State the seeds that the means are over."""
    seeds = {tuple(sorted(group.counted)) for group in groups}
    counts = sorted({len(some) for some in seeds})
    several = len(groups) > 1
    if counts == [0]:
        return "Every run has diverged: there is nothing to take a mean of."
    if len(seeds) > 1:
        text = f"The rows rest on different seeds: {' or '.join(map(str, counts))} each."
    elif counts == [1]:
        text = f"{'Every row' if several else 'The row'} rests on one seed, {seeds.pop()[0]}."
    else:
        text = f"Seeds{' of every row' * several}: {', '.join(map(str, seeds.pop()))}."
    if counts[-1] > 1:
        text += " Mean ± sample standard deviation over the seeds; 95 % CI: t-interval of the mean."
    if 1 in counts:
        text += " With n = 1 the spread over seeds is not known"
        text += ": a difference between two such rows may be chance." if several else "."
    return text


def _chosen(comparison: Comparison) -> Iterator[str]:
    """State what each row was chosen from, and whether all rows had the same candidates."""
    choices = {id(choice.best): choice for choice in comparison.choices}
    rows = zip(comparison.groups, name_rows(comparison), strict=True)
    yield from (f"{name}: {choices[id(group)]}." for group, name in rows if id(group) in choices)
    if len({frozenset(map(str, choice.values)) for choice in comparison.choices}) > 1:
        yield "The rows did not have the same values to choose from: the one with more had more chances."


def _missing(group: Group) -> Iterator[str]:
    """Name the runs that lack a metric, so that their row has no mean of it."""
    for run in group.counted.values():
        others = {name for other in group.counted.values() for name in other.metrics} - {TILED}
        if missing := sorted(others - run.metrics.keys()):
            yield f"No mean of {', '.join(missing)}: {run.folder} (seed {run.seed}) lacks it."


def _tiled(runs: Iterable[SavedRun]) -> Iterator[str]:
    """State for each run how many test images were denoised in approximate tiles."""
    for run in runs:
        if count := run.metrics.get(TILED):
            yield f"{run.folder}: {count:.0f} test images were denoised in tiles, which for this model is approximate."
