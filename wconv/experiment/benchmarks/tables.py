"""Write the rows of a benchmark as Markdown and as CSV, with the conditions of the measurement on top."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from wconv.experiment.benchmarks.pairs import Quartiles

Row = dict[str, Any]


def to_markdown(rows: Sequence[Row], facts: Mapping[str, str]) -> str:
    """Return a table in Markdown below the facts; a ratio is written as median (first to third quartile)."""
    table = pd.DataFrame([{name: _cell(value) for name, value in row.items()} for row in rows]).fillna("")
    head = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    return f"{head}\n\n{table.to_markdown(index=False, disable_numparse=True)}\n"


def to_csv(rows: Sequence[Row], facts: Mapping[str, str]) -> str:
    """Return a CSV file with unrounded values below the facts, which are comments; quartiles are three columns."""
    table = pd.DataFrame([_flat(row) for row in rows])
    head = "".join(f"# {name}: {value}\n" for name, value in facts.items())
    return head + table.to_csv(index=False)


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _flat(row: Row) -> Row:
    flat: Row = {}
    for name, value in row.items():
        if isinstance(value, Quartiles):
            flat |= dict(zip(ratio_columns(name), (value.median, value.low, value.high), strict=True))
        else:
            flat[name] = value
    return flat


def ratio_columns(name: str) -> tuple[str, str, str]:
    """Return the columns of a CSV file that hold median, first and third quartile."""
    return name, f"{name}, first quartile", f"{name}, third quartile"
