"""Read a density search from its folder: history.csv, with a row per evaluation and seed, and search.yaml.

The first two evaluations are the references: the standard convolution, a density of ones, and the published density.
"""

import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml  # type: ignore[import-untyped]
from numpy.typing import NDArray

from wconv.experiment.common.metrics import METRICS, SPLITS, Metric
from wconv.experiment.common.text import one_line

HISTORY, SETTINGS = "history.csv", "search.yaml"
OTHERS = ("evaluation", "seed", "status", "value", "epochs", "run")  # columns other than coefficients
REFERENCES = {"standard": 0, "published": 1}  # numbers of their evaluations
STATUSES = ("failed", "pruned")  # of a seed without a valid value; its whole evaluation is not counted
LARGEST = 16 * 2**20  # bytes of a file
COEFFICIENT = re.compile(r"(.+\.)?k\d+\[\d+\]")  # k3[0], stage1.k3[0], features.0.k3[0]
MOST_NAMED = 3  # coefficients in a sentence at most
TAIL = 3  # the colours span at most this many times the distance from the median to the best


@dataclass(frozen=True)
class Search:
    """The evaluations of a search, with values in display units (accuracy in percent).

    Attributes:
        folder: where it was found.
        method: of the search, such as "direct_l".
        metric_name: logged name of the objective metric, such as "val/acc".
        names: of the coefficients.
        rows: one per evaluation and seed; the last one if a seed was tried again.
        bounds: lowest and highest value of each coefficient that has bounds.
    """

    folder: Path
    method: str
    metric_name: str
    names: tuple[str, ...]
    rows: pd.DataFrame
    bounds: Mapping[str, tuple[float, float]]

    @property
    def metric(self) -> Metric:
        """The objective metric."""
        return METRICS[self.metric_name.rpartition("/")[2]]

    @property
    def label(self) -> str:
        """Axis label of the values."""
        split = self.metric_name.partition("/")[0]
        return f"{SPLITS.get(split, split)} {self.metric.axis}"

    @cached_property
    def evaluations(self) -> pd.DataFrame:
        """One row per evaluation: coefficients, "n" completed seeds, their "mean", "low", "high", "status", "epochs".

        The status is "completed" if all tried seeds are, and otherwise "failed", "pruned" or "unfinished".
        """
        found = []
        for number, group in self.rows.groupby("evaluation", sort=True):
            values = group["value"][group["status"] == "completed"]
            found.append(
                {
                    "evaluation": number,
                    **group.iloc[-1][list(self.names)],
                    "n": len(values),
                    **{key: getattr(values, how)() for key, how in (("mean", "mean"), ("low", "min"), ("high", "max"))},
                    "status": _status(set(group["status"])),
                    "epochs": group["epochs"].sum(),
                }
            )
        return pd.DataFrame(found).set_index("evaluation")

    @cached_property
    def published(self) -> tuple[float, ...] | None:
        """The published density; None if it has not been evaluated yet."""
        table = self.evaluations[list(self.names)].astype(float)
        found = table[table.index == REFERENCES["published"]].to_numpy().tolist()
        return tuple(found[0]) if found else None

    @cached_property
    def counted(self) -> pd.DataFrame:
        """The completed evaluations."""
        return self.evaluations[self.evaluations["status"] == "completed"]

    @cached_property
    def best(self) -> "pd.Series[Any] | None":
        """The evaluation with the best mean among those with the most seeds; None if none is completed."""
        most = self.counted[self.counted["n"] == self.counted["n"].max()]
        if most.empty:
            return None
        place = most["mean"].idxmax() if self.metric.best == "max" else most["mean"].idxmin()
        row: pd.Series[Any] = most.loc[place]
        return row

    @cached_property
    def seed_spread(self) -> float:
        """Standard deviation of one seed, pooled over the evaluations; nan if none has two seeds."""
        rows = self.rows[(self.rows["status"] == "completed") & self.rows["evaluation"].isin(self.counted.index)]
        groups = rows.groupby("evaluation")["value"]
        freedom = int((groups.count() - 1).sum())
        squares = float((rows["value"] - groups.transform("mean")).pow(2).sum())
        return math.sqrt(squares / freedom) if freedom else math.nan

    @cached_property
    def colour_range(self) -> tuple[float, float]:
        """The lowest and highest value of the colour scale, limited so that one bad evaluation does not use it all."""
        means, best = self.counted["mean"], self.best
        if best is None:
            return 0.0, 1.0
        reach = TAIL * abs(best["mean"] - means.median()) or abs(means.max() - means.min()) or 1.0
        low = max(float(means.min()), best["mean"] - reach)
        high = min(float(means.max()), best["mean"] + reach)
        return (low, high) if low < high else (low - 0.5, high + 0.5)

    def range_of(self, name: str) -> tuple[float, float]:
        """Return the range of an axis: bounds, evaluations, the published value and that of a standard convolution."""
        values = [*self.evaluations[name], *self.bounds.get(name, ()), 1.0]
        if self.published:
            values.append(self.published[self.names.index(name)])
        room = 0.04 * (max(values) - min(values)) or 0.5
        return min(values) - room, max(values) + room

    def surface(self, steps: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]] | None:
        """Interpolate means over two coefficients, linearly on triangles; None if there are too few evaluations.

        Args:
            steps: grid points along each coefficient.

        Returns:
            The grid points along the first and the second coefficient, (steps,) each, and the values (steps, steps),
            with rows along the second; nan outside the evaluations.
        """
        from scipy.interpolate import griddata  # here, because importing it takes half a second
        from scipy.spatial import QhullError

        points = self.counted[list(self.names)].to_numpy(float)
        if len(points) < 3:
            return None
        low, high = points.min(axis=0), points.max(axis=0)
        axes = [np.linspace(*ends, steps) for ends in zip(low, high, strict=True)]
        try:
            values = griddata(points, self.counted["mean"].to_numpy(float), tuple(np.meshgrid(*axes)), rescale=True)
        except QhullError:  # all points on one line
            return None
        return axes[0], axes[1], np.asarray(values)

    @property
    def summary(self) -> str:
        """A sentence on the evaluations and the best one."""
        decimals, unit = self.metric.decimals, self.metric.unit
        counts = self.evaluations["status"].value_counts()
        parts = [f"{len(self.evaluations)} evaluation{'s' * (len(self.evaluations) != 1)} by {self.method}"]
        parts += [f"{counts[status]} {status}" for status in (*STATUSES, "unfinished") if status in counts]
        text = ", ".join(parts)
        if self.best is None:
            return f"{text}; none is completed"
        places = [f"{name} {self.best[name]:.4g}" for name in self.names[:MOST_NAMED]]
        if more := len(self.names[MOST_NAMED:]):
            places[-1] += f" and {more} more"
        value = f"{self.best['mean']:.{decimals}f} {unit}".rstrip()
        text += f"; best at {', '.join(places)}: {value}"
        there = {name: number for name, number in REFERENCES.items() if number in self.counted.index}
        means = [f"{name} {self.counted['mean'][number]:.{decimals}f}" for name, number in there.items()]
        text += f" ({', '.join(means)})" if means else ""
        if math.isnan(self.seed_spread):
            return f"{text}; of one seed: it may be luck"
        noise = f"{self.seed_spread:.{decimals}f} {self.metric.difference_unit}".rstrip()
        return f"{text}; {self.best['n']} seeds, whose standard deviation is {noise}"


def find_searches(paths: Iterable[Path]) -> list[Path]:
    """Return the folders of searches in and below some folders; run folders are not searched."""
    found: dict[str, Path] = {}
    for path in paths:
        for folder in _search_folders(path):
            found.setdefault(os.path.realpath(folder), folder)
    return list(found.values())


def _search_folders(start: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(start):
        folders.sort()
        if HISTORY in files and SETTINGS in files:
            yield Path(folder)
            folders.clear()
        if "results.json" in files:
            folders.clear()


def read_search(folder: Path) -> Search:
    """Read a search from its folder.

    Raises:
        ValueError: a file is missing, cannot be read, or holds something else; the message is one sentence.
    """
    try:
        settings = yaml.safe_load(_text(folder / SETTINGS))
        if not isinstance(settings, dict):
            raise ValueError(f"{folder / SETTINGS} holds no keys")
        rows = pd.read_csv(_checked(folder / HISTORY))
        return _search(folder, settings, rows)
    except OSError as error:
        raise ValueError(f"{error.filename} cannot be read ({error.strerror})") from error
    except yaml.YAMLError as error:
        raise ValueError(f"{folder / SETTINGS} is not YAML ({one_line(error)[:200]})") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{folder} holds no search: {one_line(error)[:300]}") from error


def _search(folder: Path, settings: Mapping[str, Any], rows: pd.DataFrame) -> Search:
    missing = [column for column in ("evaluation", "seed", "status", "value") if column not in rows]
    names = tuple(column for column in rows.columns if column not in OTHERS)
    strange = [name for name in names if not COEFFICIENT.fullmatch(name)]
    if missing or strange or not names or rows.empty:
        what = (
            f"no column {', '.join(missing)}" if missing else f"a column {strange[0]!r}" if strange else "no evaluation"
        )
        raise ValueError(f"{HISTORY} has {what}")
    search = settings["search"]
    metric = str(search["metric"])
    if metric.rpartition("/")[2] not in METRICS:
        raise ValueError(f"{SETTINGS} names the metric {metric}, and there is none")
    rows = rows.astype(dict.fromkeys((*names, "value"), float))
    if not np.isfinite(rows[list(names)].to_numpy()).all():
        raise ValueError(f"{HISTORY} has a coefficient that is no finite number")
    rows["value"] *= METRICS[metric.rpartition("/")[2]].factor
    rows["epochs"] = rows.get("epochs", 0)
    rows.loc[(rows["status"] == "completed") & ~np.isfinite(rows["value"]), "status"] = "failed"
    rows = rows.drop_duplicates(["evaluation", "seed"], keep="last")
    bounds = {name: (float(low), float(high)) for name, (low, high) in search["bounds"].items() if name in names}
    if not np.isfinite(list(bounds.values())).all():
        raise ValueError(f"{SETTINGS} has bounds that are no finite numbers")
    return Search(folder, str(search["name"]), metric, names, rows, bounds)


def _status(found: set[str]) -> str:
    if found == {"completed"}:
        return "completed"
    return next((status for status in STATUSES if status in found), "unfinished")


def _checked(path: Path) -> Path:
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{path.name} is larger than a search can need")
    return path


def _text(path: Path) -> str:
    return _checked(path).read_text()
