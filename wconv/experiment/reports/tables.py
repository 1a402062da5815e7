"""The table of a comparison, for readers and for spreadsheets."""

import pandas as pd

from wconv.experiment.common.metrics import METRICS, TABLE, heading
from wconv.experiment.common.text import escape_markdown, escape_spreadsheet_formula
from wconv.experiment.reports.comparison import Comparison, format_value


def to_markdown(comparison: Comparison) -> str:
    """Return the table for readers, with units, and below it what it rests on and the runs that are not in it."""
    raw = comparison.table
    statistics = [name for name in raw if str(name).endswith((" mean", " std"))]
    shown = raw.drop(columns=statistics).map(lambda value: escape_markdown(format_value(value)))
    shown.columns = shown.columns.map(escape_markdown)
    for name in _shown(comparison.measured):
        shown.insert(shown.shape[1] - 1, escape_markdown(heading(name)), _cells(name, raw))
    numbers = shown.columns.get_loc("n")
    assert isinstance(numbers, int)
    align = ["left"] * numbers + ["right"] * (shown.shape[1] - numbers)
    text = shown.to_markdown(index=False, disable_numparse=True, colalign=align)
    return "\n".join([text, "", *(f"- {escape_markdown(note)}" for note in comparison.notes)])


def to_csv(comparison: Comparison) -> str:
    """Return the table with unrounded values, of which a spreadsheet takes none for a formula."""
    raw = comparison.table.map(escape_spreadsheet_formula)
    return raw.rename(columns=escape_spreadsheet_formula).to_csv(index=False)


def _shown(measured: list[str]) -> list[str]:
    """Choose the metrics for readers: of test images in several sets, those of each set in place of those of all."""
    of_sets = [name for name in measured if name.count("/") == 2 and _pooled(name) in TABLE]  # test/<set>/psnr
    pooled = set(map(_pooled, of_sets))
    return [name for name in TABLE if name in measured and name not in pooled] + of_sets


def _pooled(name: str) -> str:
    """Return the name of a metric of all test images for that of one set."""
    split, _, metric = name.split("/")
    return f"{split}/{metric}"


def _cells(name: str, raw: pd.DataFrame) -> list[str]:
    """Write the means of a metric, each with its standard deviation where there is one, and "-" where there is none."""
    metric = METRICS[name.rpartition("/")[2]]
    pairs = zip(raw[f"{name} mean"], raw[f"{name} std"], strict=True)
    return [
        "-" if pd.isna(mean) else metric.format(mean) + ("" if pd.isna(std) else f" ± {metric.format(std)}")
        for mean, std in pairs
    ]
