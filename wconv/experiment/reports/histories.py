"""Read the values of a run at each epoch, for curves."""

import numpy as np
import pandas as pd

from wconv.experiment.runs.run_files import read_table
from wconv.experiment.runs.saved_runs import SavedRun


def read_history(run: SavedRun) -> pd.DataFrame:
    """Read the values of a run at the end of each epoch, counted from 1; non-finite ones are missing.

    Raises:
        ValueError: it has no epochs, or they cannot be read.
    """
    file = run.folder / "metrics.csv"
    try:
        frame: pd.DataFrame = read_table(file).apply(pd.to_numeric)
        if frame.empty:
            raise ValueError("there is none")
        frame["epoch"] += 1
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} holds no epochs to draw ({error}); leave the run out") from error
    return frame.replace([np.inf, -np.inf], np.nan).groupby("epoch").last()
