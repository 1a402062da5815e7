"""What each group came to against what it cost."""

import math

import numpy as np

from wconv.experiment.reports.page import charts
from wconv.experiment.reports.page.content import Figure, Line, Part, Table

COSTS = {  # of results.json, by what the page calls it
    "seconds": "time of the training (s)",
    "peak_memory_mb": "peak memory (MB)",
    "parameters": "parameters",
    "macs": "multiply-accumulates of an image",
}


def cost_figure(part: Part) -> Figure | None:
    """Draw the compared metric of each group against its cost; None where no run says what it cost."""
    name, metric = part.metric_name, part.metric
    points, rows = [], []
    known = {key: heading for key, heading in COSTS.items() if any(_cost(line, key) is not None for line in part.lines)}
    for line in part.lines:
        values = [metric.factor * float(run.metrics.get(name, math.nan)) for run in line.group.counted.values()]
        if not values or not np.isfinite(values).all():
            continue
        mean = float(np.mean(values))
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
        costs = {key: _cost(line, key) for key in known}
        ends = {"low": spread and mean - spread, "high": spread and mean + spread}
        points.append(line.marks | {"value": mean} | ends | costs)
        written = f"{mean:.{metric.decimals}f}" + (f" ± {spread:.{metric.decimals}f}" if spread is not None else "")
        rows.append(line.row(line.title, str(len(values)), written, *(_written(costs[key]) for key in known)))
    if not points or not known:
        return None
    title = f"test {metric.axis}"
    spec = charts.costs(points, list(known), f".{metric.decimals}f")
    table = Table(f"{title} and cost, means over n runs", ["runs", "n", title, *known.values()], rows, ["runs"])
    description = f"{title} of each group of runs against its cost; a bar is the standard deviation over the seeds."
    return Figure(title, description, spec, table, choices=known)


def _cost(line: Line, key: str) -> float | None:
    """Return the mean over the runs; None where one does not say."""
    found = [results.get(key) for results in line.results]
    numbers = [float(value) for value in found if isinstance(value, int | float) and math.isfinite(value)]
    return float(np.mean(numbers)) if numbers and len(numbers) == len(found) else None


def _written(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"
