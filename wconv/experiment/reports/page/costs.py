"""Figure of the result of each group against its cost."""

from typing import Any

import pandas as pd

from wconv.experiment.common.metrics import heading
from wconv.experiment.reports.page import charts
from wconv.experiment.reports.page.content import Figure, Part, Table
from wconv.experiment.reports.tables import COSTS


def cost_figure(part: Part) -> Figure | None:
    """Plot the compared metric of each group against its cost; None if no run has recorded its cost."""
    raw, name, metric = part.comparison.table, part.metric_name, part.metric
    known = {key: title for key, title in COSTS.items() if raw[key].notna().any()}
    points: list[dict[str, Any]] = []
    rows = []
    for line, (_, row) in zip(part.lines, raw.iterrows(), strict=True):
        mean, spread = (_number(row.get(f"{name} {what}"), metric.factor) for what in ("mean", "std"))
        if mean is None:
            continue
        costs = {key: _number(row[key]) for key in known}
        ends = {"low": None, "high": None} if spread is None else {"low": mean - spread, "high": mean + spread}
        points.append({**line.marks, "value": mean, **ends, **costs})
        written = f"{mean:.{metric.decimals}f}" + ("" if spread is None else f" ± {spread:.{metric.decimals}f}")
        cells = ("-" if cost is None else f"{cost:,.0f}" for cost in costs.values())
        rows.append(line.row(line.title, str(row["n"]), written, *cells))
    if not points or not known:
        return None
    title = heading(name)
    table = Table(f"{title} and cost, means over n runs", ["row", "n", title, *known.values()], rows, ["row"])
    description = f"{title} of each row against its cost; a bar is the standard deviation over the seeds."
    return Figure(title, description, charts.costs(points, list(known), f".{metric.decimals}f"), table, choices=known)


def _number(value: Any, factor: float = 1.0) -> float | None:
    return None if value is None or pd.isna(value) else factor * float(value)
