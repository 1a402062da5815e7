"""Texts and numbers of the page: sentences, results table, and differences to the reference."""

import math
from collections.abc import Sequence

import pandas as pd

from wconv.experiment.reports.page import charts
from wconv.experiment.reports.page.content import Figure, Part, Row, Table, plain
from wconv.experiment.reports.tables import differences, results

ORDER = ("better", "worse", "equivalent", "undecided", "not compared")


def findings(part: Part) -> list[Row]:
    """Return a row with one sentence for each compared group, the most significant first."""
    if not part.effects:
        return []
    ordered = sorted(part.effects.rows, key=lambda effect: ORDER.index(effect.verdict))
    return [part.lines[effect.pairing.row].row(effect.sentence, effect.verdict) for effect in ordered]


def results_table(part: Part) -> Table:
    """Return the table of the comparison, with metrics before the columns that distinguish rows."""
    cells, left = results(part.comparison)
    order = [*range(min(left, 4)), *range(left, cells.shape[1]), *range(4, left)]
    texts = [plain(name) for name in cells.columns[:left]]
    shown = cells.iloc[:, order].map(plain)
    rows = [line.row(*values) for line, values in zip(part.lines, shown.to_numpy().tolist(), strict=True)]
    return Table("Results", [plain(name) for name in shown.columns], rows, texts)


def difference_figure(part: Part) -> Figure | None:
    """Plot the difference of each row to its reference; None if no row could be compared."""
    effects = part.effects
    compared = [effect for effect in effects.rows if effect.judged] if effects else []
    if not effects or not compared:
        return None
    decimals = part.metric.decimals
    rows = []
    for effect in compared:
        assert effect.judged
        test, line = effect.judged.test, part.lines[effect.pairing.row]
        low, high = (None if math.isnan(end) else end for end in (test.low, test.high))
        text = f"{_signed(test.mean, decimals)} {effects.unit}"
        if low is not None and high is not None:
            text += f" ({_signed(low, decimals)} to {_signed(high, decimals)})"
        marks = line.marks | {"line": plain(effect.name), "text": text}
        rows.append(marks | {"value": test.mean, "low": low, "high": high})
    title = f"Difference to {plain(effects.reference)} in test {part.metric.label} ({effects.unit})"
    spec = charts.differences(rows, effects.margin, f"{effects.unit}; to the right of 0 is better")
    said = " ".join(f"{plain(effect.sentence)}." for effect in compared)
    table, left = differences(effects)
    return Figure(title, f"{title}. {said}", spec, _table(part, table, left))


def _signed(value: float, decimals: int) -> str:
    """Format a difference with a sign (a true minus), and without one for zero."""
    text = f"{value:+.{decimals}f}" if round(value, decimals) else f"{0:.{decimals}f}"
    return text.replace("-", "\u2212")


def _table(part: Part, cells: pd.DataFrame, left: int) -> Table:
    assert part.effects
    lines = [part.lines[row] for row in part.effects.table.index[part.effects.table["pairs"] > 0]]
    rows = [line.row(*map(plain, values)) for line, values in zip(lines, cells.to_numpy().tolist(), strict=True)]
    columns: Sequence[str] = [plain(name) for name in cells.columns]
    return Table(plain(part.effects.title), columns, rows, columns[:left])
