"""Logger for metrics.csv: one row per epoch, with deterministic values only."""

from pathlib import Path
from typing import Any

from pytorch_lightning.loggers.logger import Logger, rank_zero_experiment
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from wconv.experiment.common.files import write_atomically
from wconv.experiment.common.metrics import round_to_float32
from wconv.experiment.runs.run_files import read_table


class MetricsCSV(Logger):
    """Write logged values to a CSV file, one row per step.

    Lightning's CSVLogger removes an existing file when it starts, and writes a row for every call, and a file of
    hyper-parameters; here a resumed run keeps the rows up to its checkpoint and appends to them.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.rows: dict[int, dict[str, float]] = {}

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.path.name

    @property
    def version(self) -> str:
        """Empty, since there is only one version."""
        return ""

    @property
    @rank_zero_experiment
    def experiment(self) -> "MetricsCSV":
        """Return the logger itself."""
        return self

    def restore_rows(self, step: int) -> None:
        """Keep the rows that an earlier process wrote, up to a step."""
        import pandas as pd  # here: a run trains before it needs it

        if self.path.exists():
            earlier = read_table(self.path)
            for row in earlier[earlier["step"] <= step].to_dict("records"):
                values = {str(name): round_to_float32(value) for name, value in row.items() if pd.notna(value)}
                self.rows[int(row["step"])] = values

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Add values to the row of a step."""
        row = self.rows.setdefault(step or 0, {"epoch": 0, "step": step or 0})
        row.update({name: round_to_float32(value) for name, value in metrics.items()})

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Do nothing: config.yaml has them."""

    @rank_zero_only
    def save(self) -> None:
        """Write the whole file atomically, so that no reader sees half a row."""
        import pandas as pd

        if self.rows:
            table = pd.DataFrame([self.rows[step] for step in sorted(self.rows)])
            whole = table.astype({"epoch": int, "step": int})
            write_atomically(self.path, whole.to_csv(index=False).encode())
