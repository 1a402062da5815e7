"""The result of a finished run."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wconv.experiment.common.metrics import from_json
from wconv.experiment.runs.run_files import read_table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Result:
    """A finished run.

    Attributes:
        directory: its folder.
        results: the content of results.json.
        was_there: whether the run had been completed earlier.
    """

    directory: Path
    results: dict[str, Any]
    was_there: bool = False

    @property
    def metrics(self) -> dict[str, float | None]:
        """The final values by name, such as "test/acc", a fraction; None for NaN."""
        return {str(name): from_json(value) for name, value in self.results["metrics"].items()}

    @property
    def history(self) -> "pd.DataFrame":
        """The curves as in metrics.csv: one row per epoch and one for the test, one column per metric."""
        return read_table(self.directory / "metrics.csv")
