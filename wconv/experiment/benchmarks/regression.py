"""Detect ratios that have changed since an earlier table; absolute times depend on the machine and are ignored."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from wconv.experiment.benchmarks.pairs import Ratio
from wconv.experiment.benchmarks.tables import Row, ratio_columns
from wconv.experiment.common.exceptions import ConfigError


def moved(rows: Sequence[Row], file: Path) -> Iterator[str]:
    """Yield a sentence for each ratio whose interquartile range does not overlap that of an earlier table.

    Args:
        rows: the current measurement.
        file: an earlier CSV file of the same benchmark.

    Raises:
        ConfigError: the file is not a table of this benchmark.
    """
    try:
        before = pd.read_csv(file, comment="#")
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{file} cannot be read as an earlier table ({error}); name one that -o has written"
        ) from error
    label = next(iter(rows[0]))
    if label not in before:
        raise ConfigError(f"{file} is no table of this benchmark: it has no column {label!r}")
    earlier = {str(row[label]): row for row in before.to_dict("records")}
    for row in rows:
        there = earlier.get(str(row[label]), {})
        for name, value in row.items():
            if not isinstance(value, Ratio) or name not in there:
                continue
            was = Ratio(*(float(there[column]) for column in ratio_columns(name)))
            if value.low > was.high or value.high < was.low:
                yield f"{row[label]}: {name} is {value}, and was {was}"
