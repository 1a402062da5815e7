"""Folders of searches as they are left behind, made up."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

BOUNDS = {"k3": [[0.3, 1.5]], "k5": [[0.05, 1.0], [0.5, 1.5]], "k7": [[0.05, 0.5], [0.15, 1.0], [0.25, 1.5]]}
PUBLISHED = {"k3": [0.7], "k5": [0.2, 0.8], "k7": [0.25, 0.15, 0.55]}


def write_search(
    folder: Path,
    names: Sequence[str] = ("k3[0]",),
    points: int = 9,
    seeds: Sequence[int] = (0, 1, 2),
    statuses: Mapping[int, str] | None = None,
    value: Callable[[np.ndarray], float] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Path:
    """Write history.csv and search.yaml.

    Args:
        folder: of the search.
        names: of the coefficients.
        points: how many evaluations; the first two are the standard convolution and the published density.
        seeds: of each.
        statuses: of the last seed of the evaluations that were not completed, by their number.
        value: the value at a point, without noise; a hill at 0.9 by default.
        settings: what else, or other, search.yaml says of the search.
    """
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    sizes = [name.rpartition(".")[2][:2] for name in names]
    ends = np.array([BOUNDS[size][int(name[-2])] for name, size in zip(names, sizes, strict=True)])
    shares = np.linspace(0, 1, max(0, points - 2))[:, None]
    if len(names) > 1:
        shares = random.random((len(shares), len(names)))
    references = [[1.0] * len(names), [PUBLISHED[size][int(name[-2])] for name, size in zip(names, sizes, strict=True)]]
    places = [*map(np.array, references), *(ends[:, 0] + shares * (ends[:, 1] - ends[:, 0]))][:points]
    value = value or (lambda point: float(0.62 - 0.1 * ((point - 0.9) ** 2).sum()))
    rows = []
    for number, point in enumerate(places):
        for seed in seeds:
            status = (statuses or {}).get(number, "completed") if seed == seeds[-1] else "completed"
            measured = value(point) + random.normal(0, 0.004) if status != "failed" else None
            row = dict(zip(names, point, strict=True))
            rows.append({"evaluation": number, **row, "seed": seed, "status": status, "value": measured})
    frame = pd.DataFrame(rows).assign(epochs=5, run=[f"vgg-weighted-s0-{place:08x}" for place in range(len(rows))])
    frame.to_csv(folder / "history.csv", index=False)
    bounds = dict(zip(names, ends.tolist(), strict=True))
    search = {"name": "direct_l", "metric": "val/acc", "seeds": list(seeds), "scope": "global", "bounds": bounds}
    content = {"search": search | dict(settings or {}), "config": {"model": {"name": "vgg"}}, "data": {}}
    (folder / "search.yaml").write_text(yaml.safe_dump(content))
    return folder
