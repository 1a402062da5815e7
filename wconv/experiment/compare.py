"""Several runs side by side: what differs between them, and the mean and spread of their metrics over the seeds."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from wconv.experiment.saved import SavedRun
from wconv.experiment.text import in_markdown, in_spreadsheet

ALWAYS = ("model", "conv", "init", "density")
CONVOLUTIONS = ("standard", "weighted")  # in this order, before the others
# Metric: heading, factor and decimals in Markdown.
METRICS = {
    "test/acc": ("test acc (%)", 100, 2),
    "test/acc_top5": ("test top-5 acc (%)", 100, 2),
    "val/acc": ("val acc (%)", 100, 2),
    "test/noisy_psnr": ("noisy PSNR (dB)", 1, 2),
    "test/psnr": ("test PSNR (dB)", 1, 2),
    "test/ssim": ("test SSIM", 1, 4),
}
TILED = "test/tiled"  # number of test images that were denoised in approximate tiles


@dataclass
class Group:
    """Runs that differ in nothing but the seed.

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


def group_runs(runs: Iterable[SavedRun]) -> list[Group]:
    """Sort completed runs into groups that differ in more than the seed, standard before weighted.

    Raises:
        ValueError: there is no completed run.
    """
    found: dict[frozenset[tuple[str, Any]], Group] = {}
    for run in runs:
        if run.status == "completed":
            found.setdefault(run.identity, Group(run.features)).add(run)
    if not found:
        raise ValueError("no completed run among those found; let one finish (train.py goes on where it was)")
    groups = list(found.values())
    keys = ("model", *differing(groups), "init")

    def place(group: Group) -> list[tuple[Any, ...]]:
        conv = group.features["conv"]
        rank = CONVOLUTIONS.index(conv) if conv in CONVOLUTIONS else len(CONVOLUTIONS)
        values = (group.features.get(key) for key in keys)
        return [*map(_place, values), (rank, conv, group.features["density"], group.features["parameters"])]

    return sorted(groups, key=place)


def differing(groups: Sequence[Group]) -> dict[str, str]:
    """Return the configuration keys that tell groups apart, besides the columns shown always, and their headings."""
    keys = dict.fromkeys(key for group in groups for key in group.features if key not in ALWAYS)
    keys.pop("parameters", None)

    def kinds(*some: str) -> set[tuple[Any, ...]]:
        return {tuple(group.features.get(key) for key in some) for group in groups}

    # A key that some lack, such as the momentum of SGD, mostly follows from another one, such as the optimiser.
    shown = [key for key in keys if len(kinds(key) - {(None,)}) > 1]
    for key in keys:
        if len(kinds(*ALWAYS, *shown, key)) > len(kinds(*ALWAYS, *shown)):
            shown.append(key)
    short = [key.rpartition(".")[2] for key in keys] + ["n", "mean", "std", *ALWAYS]
    return {key: last if short.count(last := key.rpartition(".")[2]) == 1 else key for key in shown}


def table(runs: Iterable[SavedRun]) -> pd.DataFrame:
    """Return one row a group: what it is, n seeds, mean and standard deviation (ddof=1) of each metric, raw.

    Raises:
        ValueError: there is no completed run.
    """
    groups = group_runs(runs)
    columns = {key: key for key in ALWAYS} | differing(groups)
    rows = [{name: g.features.get(key, "-") for key, name in columns.items()} for g in groups]
    # As objects, because pandas would turn the whole numbers of a column with gaps into fractions.
    what = pd.DataFrame(rows, dtype=object).assign(n=[len(group.runs) for group in groups])
    measured = pd.DataFrame([run.metrics for group in groups for run in group.runs.values()]).drop(
        columns=TILED, errors="ignore"
    )
    names = [*METRICS, *sorted(str(name) for name in measured if name not in METRICS)]
    of_group = [row for row, group in enumerate(groups) for _ in group.runs]
    spread = measured[[name for name in names if name in measured]].groupby(of_group).agg(["mean", "std"])
    spread.columns = spread.columns.map(" ".join)
    return what.join(spread).assign(parameters=[group.features["parameters"] for group in groups])


def _place(value: Any) -> tuple[bool, float, str]:
    """Sort numbers by size, before all the rest by name; true before false."""
    if isinstance(value, bool):
        return (True, float(not value), "")
    if isinstance(value, int | float):
        return (False, value, "")
    return (True, 0.0, str(value))


def markdown(runs: Sequence[SavedRun]) -> str:
    """Return the table for readers, with units, what it rests on, and below it the runs that are not in it.

    Raises:
        ValueError: there is no completed run.
    """
    groups = group_runs(runs)
    raw = table(runs)
    statistics = [name for name in raw if str(name).endswith((" mean", " std"))]
    shown = raw.drop(columns=statistics).map(lambda value: in_markdown(as_typed(value)))
    shown.columns = shown.columns.map(in_markdown)
    for name, (heading, factor, decimals) in _shown(raw).items():
        pairs = zip(raw[f"{name} mean"] * factor, raw[f"{name} std"] * factor, strict=True)
        values = ["-" if mean != mean else _with_spread(mean, std, decimals) for mean, std in pairs]
        shown.insert(shown.shape[1] - 1, in_markdown(heading), values)
    numbers = shown.columns.get_loc("n")
    assert isinstance(numbers, int)
    align = ["left"] * numbers + ["right"] * (shown.shape[1] - numbers)
    text = shown.to_markdown(index=False, disable_numparse=True, colalign=align)
    left_out = [run for run in runs if run.status != "completed"]
    notes = [_basis(groups), *(note for group in groups for note in group.notes), *_tiled(groups)]
    notes += [f"Not in the table: {run.folder}: {run.status}{run.reason and f' ({run.reason})'}" for run in left_out]
    return "\n".join([text, "", *(f"- {in_markdown(note)}" for note in notes)])


def csv(runs: Iterable[SavedRun]) -> str:
    """Return the table with unrounded values, of which a spreadsheet takes none for a formula.

    Raises:
        ValueError: there is no completed run.
    """
    raw = table(runs).map(in_spreadsheet)
    return raw.rename(columns=in_spreadsheet).to_csv(index=False)


def _shown(raw: pd.DataFrame) -> dict[str, tuple[str, float, int]]:
    """Choose the metrics for readers: of test images in several sets, those of each set in place of those of all."""
    measured = [str(name).removesuffix(" mean") for name in raw if str(name).endswith(" mean")]
    of_sets = [name for name in measured if name.count("/") == 2 and _pooled(name) in METRICS]  # test/<set>/psnr
    pooled = set(map(_pooled, of_sets))
    shown: dict[str, tuple[str, float, int]] = {
        name: METRICS[name] for name in METRICS if name in measured and name not in pooled
    }
    for name in of_sets:
        _, test_set, metric = name.split("/")
        heading, factor, decimals = METRICS[f"test/{metric}"]
        shown[name] = (f"{test_set} {heading.removeprefix('test ')}", factor, decimals)
    return shown


def _pooled(name: str) -> str:
    """Return the name of a metric of all test images for that of one set."""
    split, _, metric = name.split("/")
    return f"{split}/{metric}"


def _tiled(groups: Sequence[Group]) -> Iterator[str]:
    """Say of each run whose test images were too large to denoise whole how many these were."""
    for run in (run for group in groups for run in group.runs.values()):
        if count := run.metrics.get(TILED):
            yield f"{run.folder}: {count:.0f} test images were denoised in tiles, which for this model is approximate."


def _basis(groups: Sequence[Group]) -> str:
    """Say how many seeds the figures rest on."""
    seeds = {tuple(sorted(group.runs)) for group in groups}
    counts = sorted({len(some) for some in seeds})
    if len(seeds) == 1:
        text = f"Seeds of every row: {', '.join(map(str, seeds.pop()))}."
    else:
        per_row = ", ".join(map(str, counts))
        text = f"The rows rest on different seeds ({per_row} a row)."
    if counts[-1] > 1:
        text += " Mean ± sample standard deviation over the seeds."
    if counts[0] == 1:
        text += " With n = 1 the spread over seeds is not known: a difference between two such rows may be chance."
    return text


def _with_spread(mean: float, std: float, decimals: int) -> str:
    spread = "" if std != std else f" ± {std:.{decimals}f}"
    return f"{mean:.{decimals}f}{spread}"


def as_typed(value: Any) -> str:
    """Write a value as one types it on the command line."""
    return str(value).lower() if isinstance(value, bool) else str(value)
