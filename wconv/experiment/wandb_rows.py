"""What a run tells W&B in numbers: one row an epoch, put together from the files of the run folder.

The files know best: a resumed run cuts them back to its checkpoint, and rows that an earlier process could not hand
over any more are still in them.
"""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from wconv.experiment.metrics import best_of

Rows = Mapping[int, Mapping[str, float]]


def epoch_rows(directory: Path) -> Rows:
    """Return metrics.csv (without the test) and timing.csv by epoch, without what is missing or NaN.

    Args:
        directory: folder of the run.
    """
    metrics = _read(directory / "metrics.csv").rename(columns={"step": "trainer/global_step"})
    test = [name for name in metrics if str(name).startswith("test/")]
    trained = metrics.drop(columns=test)[~metrics[test].notna().any(axis=1)]
    timing = _read(directory / "timing.csv").rename(columns=lambda name: name if name == "epoch" else f"time/{name}")
    rows: dict[int, dict[str, float]] = {}
    for table in (trained, timing):
        for row in table.to_dict("records"):
            known = {str(name): float(value) for name, value in row.items() if pd.notna(value) and name != "epoch"}
            rows.setdefault(int(row["epoch"]), {}).update(known)
    return dict(sorted(rows.items()))


def test_scores(directory: Path) -> dict[str, float]:
    """Return what the test at the end measured; nothing before that."""
    metrics = _read(directory / "metrics.csv")
    scores = metrics[[name for name in metrics if str(name).startswith("test/")]]
    return {str(name): float(scores[name].dropna().iloc[-1]) for name in scores if scores[name].notna().any()}


def best_values(rows: Rows) -> dict[str, dict[str, float]]:
    """Return the best value of each curve that has one, as W&B writes it: {"val/acc": {"max": 0.67}}."""
    table = pd.DataFrame(list(rows.values()))
    best: dict[str, dict[str, float]] = {}
    for name in map(str, table):
        how = best_of(name)
        if how:
            best[name] = {how: float(getattr(table[name], how)())}
    return best


def _read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path) if path.exists() else pd.DataFrame({"epoch": []})
