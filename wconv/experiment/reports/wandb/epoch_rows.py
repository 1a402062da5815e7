"""The numbers that a run logs to W&B: one row per epoch, assembled from the files of the run folder.

The files are the reliable source: a resumed run truncates them to its checkpoint, and they still have rows that an
earlier process could not send.
"""

import math
from collections.abc import Mapping
from pathlib import Path

from wconv.experiment.common.metrics import best_mode, not_finite
from wconv.experiment.runs.run_files import read_table

Rows = Mapping[int, Mapping[str, float]]


def epoch_rows(directory: Path) -> Rows:
    """Return metrics.csv (without the test) and timing.csv by epoch, without missing and non-finite values.

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
    """Return the final test metrics, and whether the run has diverged (0 or 1); empty before the test.

    A diverged run returns no scores, because W&B would include them in the means over runs.
    """
    metrics = read_table(directory / "metrics.csv")
    names = [name for name in metrics if str(name).startswith("test/")]
    # The row of the test has no other values; a non-finite value is an empty cell.
    row = metrics[metrics.drop(columns=["epoch", "step", *names], errors="ignore").isna().all(axis=1)][names].tail(1)
    if row.empty:
        return {}
    scores = {str(name): float(row[name].iloc[0]) for name in names}
    if not_finite(scores):
        return {"diverged": 1.0}
    return {name: value for name, value in scores.items() if math.isfinite(value)} | {"diverged": 0.0}


def best_values(rows: Rows) -> dict[str, dict[str, float]]:
    """Return the best finite value of each curve that has one, in the form of W&B: {"val/acc": {"max": 0.67}}."""
    best: dict[str, dict[str, float]] = {}
    for name in dict.fromkeys(name for row in rows.values() for name in row):
        how = best_mode(name)
        values = [row[name] for row in rows.values() if math.isfinite(row.get(name, math.nan))]
        if how and values:
            best[name] = {how: max(values) if how == "max" else min(values)}
    return best
