"""What a run tells W&B in numbers: one row an epoch, put together from the files of the run folder.

The files know best: a resumed run cuts them back to its checkpoint, and rows that an earlier process could not hand
over any more are still in them.
"""

import math
from collections.abc import Mapping
from pathlib import Path

from wconv.experiment.common.metrics import best_mode, not_finite
from wconv.experiment.runs.run_files import read_table

Rows = Mapping[int, Mapping[str, float]]


def epoch_rows(directory: Path) -> Rows:
    """Return metrics.csv (without the test) and timing.csv by epoch, without what is missing or no finite number.

    Args:
        directory: folder of the run.
    """
    metrics = read_table(directory / "metrics.csv").rename(columns={"step": "trainer/global_step"})
    test = [name for name in metrics if str(name).startswith("test/")]
    trained = metrics.drop(columns=test)[~metrics[test].notna().any(axis=1)]
    timing = read_table(directory / "timing.csv").rename(
        columns=lambda name: name if name == "epoch" else f"time/{name}"
    )
    rows: dict[int, dict[str, float]] = {}
    for table in (trained, timing):
        for row in table.to_dict("records"):
            known = {str(name): float(value) for name, value in row.items() if math.isfinite(value) and name != "epoch"}
            rows.setdefault(int(row["epoch"]), {}).update(known)
    return dict(sorted(rows.items()))


def final_test_metrics(directory: Path) -> dict[str, float]:
    """Return what the test at the end measured, and whether the run has diverged (0 or 1); nothing before the test.

    Of a run that has diverged no score is returned, because W&B would take the mean over other runs for each metric.
    """
    metrics = read_table(directory / "metrics.csv")
    names = [name for name in metrics if str(name).startswith("test/")]
    # The row of the test has nothing else in it; what is not finite is an empty cell.
    row = metrics[metrics.drop(columns=["epoch", "step", *names], errors="ignore").isna().all(axis=1)][names].tail(1)
    if row.empty:
        return {}
    scores = {str(name): float(row[name].iloc[0]) for name in names}
    if not_finite(scores):
        return {"diverged": 1.0}
    return {name: value for name, value in scores.items() if math.isfinite(value)} | {"diverged": 0.0}


def best_values(rows: Rows) -> dict[str, dict[str, float]]:
    """Return the best finite value of each curve that has one, as W&B writes it: {"val/acc": {"max": 0.67}}."""
    best: dict[str, dict[str, float]] = {}
    for name in dict.fromkeys(name for row in rows.values() for name in row):
        how = best_mode(name)
        values = [row[name] for row in rows.values() if math.isfinite(row.get(name, math.nan))]
        if how and values:
            best[name] = {how: max(values) if how == "max" else min(values)}
    return best
