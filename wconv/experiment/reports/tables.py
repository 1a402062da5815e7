"""The tables of a comparison, as Markdown, LaTeX and CSV."""

import re
from collections.abc import Sequence

import pandas as pd

from wconv.experiment.common.metrics import METRICS, PRIMARY, TABLE, heading
from wconv.experiment.common.text import escape_control_characters, escape_markdown, escape_spreadsheet_formula
from wconv.experiment.reports.comparison import Comparison, format_value
from wconv.experiment.reports.effects import Effects
from wconv.experiment.reports.notes import notes
from wconv.experiment.reports.statistics import ENOUGH

COSTS = {"seconds": "time (s)", "peak_memory_mb": "memory (MB)", "parameters": "parameters", "macs": "MACs"}


def to_markdown(comparison: Comparison, effects: Effects | None = None) -> str:
    """Return the table in Markdown, with notes on its basis, and one sentence per row below."""
    parts = [write_markdown(*results(comparison)), _list(notes(comparison))]
    if effects:
        table, left = differences(effects)
        if len(table):
            parts += [write_markdown(table, left), _list(_about(effects))]
        parts += [f"{escape_markdown(effects.title)}:", _list([effect.sentence for effect in effects.rows])]
    return "\n\n".join(parts)


def to_latex(tables: Sequence[tuple[pd.DataFrame, int]]) -> str:
    """Return LaTeX tables (booktabs), one below the other; each is given with its number of name columns."""
    return "\n\n".join(_latex(table, left) for table, left in tables if len(table)) + "\n"


def to_csv(comparison: Comparison, effects: Effects | None = None) -> str:
    """Return the table as CSV with unrounded values, escaped so that spreadsheets see no formulas."""
    raw = comparison.table if effects is None else pd.concat([comparison.table, effects.table], axis=1)
    return raw.map(escape_spreadsheet_formula).rename(columns=escape_spreadsheet_formula).to_csv(index=False)


def results(comparison: Comparison) -> tuple[pd.DataFrame, int]:
    """Return the cells of the table as text, and the number of name columns."""
    raw = comparison.table
    keys = list(raw.columns[: list(raw.columns).index("n")])
    shown = raw[keys + [name for name in ("n", "diverged") if name in raw]].map(format_value)
    for name in _shown(comparison.measured):
        shown.insert(shown.shape[1], heading(name), cells(name, raw), allow_duplicates=True)
        split, *_, metric = name.split("/")
        if split == "test" and metric in PRIMARY and f"{name} 95% low" in raw:
            shown.insert(shown.shape[1], "95 % CI", _intervals(name, raw), allow_duplicates=True)
    for name, title in COSTS.items():
        if raw[name].notna().any():
            shown.insert(shown.shape[1], title, [_short(value) for value in raw[name]], allow_duplicates=True)
    return shown, len(keys)


def differences(effects: Effects) -> tuple[pd.DataFrame, int]:
    """Return the results of the compared rows as text, and the number of name columns."""
    raw = effects.table
    raw = raw[raw["pairs"] > 0]
    decimals = METRICS[effects.metric.rpartition("/")[2]].decimals

    def numbers(name: str, form: str) -> list[str]:
        return ["-" if pd.isna(value) else format(value, form) for value in raw[name]]

    def p_values(name: str) -> list[str]:
        return ["-" if pd.isna(p) else "<0.001" if p < 0.001 else f"{p:.3f}" for p in raw[name]]

    def interval(name: str) -> list[str]:
        low, high = numbers(f"{name} 95% low", f".{decimals}f"), numbers(f"{name} 95% high", f".{decimals}f")
        return ["-" if "-" in ends else " to ".join(ends) for ends in zip(low, high, strict=True)]

    if raw.empty:
        return raw, 0
    columns = {
        "row": list(raw["name"]),
        "seeds": numbers("pairs", "d"),
        f"difference ({effects.unit})": numbers("difference", f"+.{decimals}f"),
        "95 % CI": interval("difference"),
        "p": p_values("p"),
        "Holm p": p_values("Holm p"),
        "could show": numbers("smallest", f".{decimals}f"),
        "equivalence p": p_values("equivalence p"),
    }
    if "sign-flip p" in raw:
        columns |= {"sign-flip p": p_values("sign-flip p"), "bootstrap 95 % CI": interval("bootstrap")}
    return pd.DataFrame(columns), 1


def _about(effects: Effects) -> list[str]:
    """Explain the columns of the differences, and which tests were not made."""
    compared = [effect.judged for effect in effects.rows if effect.judged]
    count = max(judged.comparisons for judged in compared)
    about = []
    if count:
        about.append(
            f"p: paired t-test. Holm p and equivalence p (TOST, within ±{effects.margin:g} {effects.unit}): adjusted "
            f"for {count} comparison{'s' * (count != 1)}. Could show: the smallest difference found with power 80 %."
        )
    if any(judged.test.n < ENOUGH for judged in compared):
        about.append(
            f"Rows of fewer than {ENOUGH} seeds have no bootstrap interval and no sign-flip test, "
            f"which cannot reach 0.05 (with 5 seeds, p is {2 / 2**5:.4f} at least)."
        )
    return about


def write_markdown(table: pd.DataFrame, left: int) -> str:
    """Return cells as Markdown; the first `left` columns are names, aligned to the left."""
    # Only names come from run folders; a "<" before a number stays as it is.
    shown = table.copy()
    for place in range(left):
        shown.isetitem(place, table.iloc[:, place].map(escape_markdown).to_list())
    shown.columns = table.columns.map(escape_markdown)
    return shown.to_markdown(index=False, disable_numparse=True, colalign=_align(table, left))


def _latex(table: pd.DataFrame, left: int) -> str:
    from tabulate import tabulate

    cells = table.map(escape_control_characters).to_numpy().tolist()
    headers = [escape_control_characters(name) for name in table.columns]
    text = str(tabulate(cells, headers, "latex_booktabs", disable_numparse=True, colalign=_align(table, left)))
    text = re.sub(r"(?<=\s)-(?=\d)", "$-$", text.replace("±", r"$\pm$"))
    return re.sub(r"(?m)^ *\[", "{}[", text)  # otherwise LaTeX takes it for an argument of the line break before


def _align(table: pd.DataFrame, left: int) -> list[str]:
    return ["left"] * left + ["right"] * (table.shape[1] - left)


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {escape_markdown(line)}" for line in lines)


def _shown(measured: list[str]) -> list[str]:
    """Choose the metrics to show: with several test sets, those of each set instead of those of all images."""
    of_sets = [name for name in measured if name.count("/") == 2 and _pooled(name) in TABLE]  # test/<set>/psnr
    pooled = set(map(_pooled, of_sets))
    return [name for name in TABLE if name in measured and name not in pooled] + of_sets


def _pooled(name: str) -> str:
    """Return the name of the metric over all test images for that of one test set."""
    split, _, metric = name.split("/")
    return f"{split}/{metric}"


def cells(name: str, raw: pd.DataFrame) -> list[str]:
    """Format the means of a metric, each with its standard deviation if known; "-" without a mean."""
    metric = METRICS[name.rpartition("/")[2]]
    pairs = zip(raw[f"{name} mean"], raw[f"{name} std"], strict=True)
    return [
        "-" if pd.isna(mean) else metric.format(mean) + ("" if pd.isna(std) else f" ± {metric.format(std)}")
        for mean, std in pairs
    ]


def _intervals(name: str, raw: pd.DataFrame) -> list[str]:
    """Format the intervals of the means of a metric."""
    metric = METRICS[name.rpartition("/")[2]]
    ends = zip(raw[f"{name} 95% low"], raw[f"{name} 95% high"], strict=True)
    return ["-" if pd.isna(low) else f"{metric.format(low)} to {metric.format(high)}" for low, high in ends]


def _short(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.0f}" if value >= 100 else f"{value:.3g}"
