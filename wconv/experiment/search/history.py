"""The history of a search: history.csv, with one row for each training of an evaluation.

It has no times or dates, so that a search that was interrupted and resumed writes the same file as one that was not.
"""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, stdev

from wconv.experiment.common.files import write_atomically
from wconv.experiment.search.settings import Point

COMPLETED, FAILED, PRUNED = "completed", "failed", "pruned"
REFERENCES = 2  # the first evaluations: the standard convolution and the published density
MOST_FAILURES = 3  # consecutive failures that end a search


@dataclass(frozen=True)
class Outcome:
    """The result of one training.

    Attributes:
        seed: of the training.
        value: of the objective metric; None if the training failed.
        epochs: number of epochs trained; None if the training failed.
        run: its folder, relative to that of all runs.
    """

    seed: int
    value: float | None
    epochs: int | None
    run: str


@dataclass(frozen=True)
class Evaluation:
    """A density that was tried, with its trainings.

    Attributes:
        number: from 0; the first two are the references.
        point: the coefficients.
        status: how it ended: completed, failed, or pruned.
        outcomes: one per seed, up to the one after which an evaluation failed or was pruned.
    """

    number: int
    point: Point
    status: str
    outcomes: tuple[Outcome, ...]

    @property
    def values(self) -> list[float]:
        """The values of the successful trainings."""
        return [outcome.value for outcome in self.outcomes if outcome.value is not None]

    @property
    def mean(self) -> float:
        """Mean over the seeds; NaN unless all of them have a value."""
        return fmean(self.values) if self.status == COMPLETED else math.nan


class History:
    """The evaluations of a search, in their order.

    Args:
        file: history.csv.
        names: of the coefficients.
    """

    def __init__(self, file: Path, names: Sequence[str]) -> None:
        self.file = file
        self.names = tuple(names)
        self.evaluations: list[Evaluation] = []

    def load(self) -> None:
        """Read history.csv; a file that `save` did not write is ignored, since it can be rebuilt from the runs."""
        try:
            content = self.file.read_bytes()
            found: dict[int, list[dict[str, str]]] = {}
            for row in csv.DictReader(io.StringIO(content.decode(), newline="")):
                found.setdefault(int(row["evaluation"]), []).append(row)
            self.evaluations = [self._evaluation(number, found[number]) for number in sorted(found)]
            is_whole = self._content() == content  # a file truncated within a row may still parse
        except (OSError, ValueError, KeyError, TypeError, csv.Error):
            is_whole = False
        if not is_whole:
            self.evaluations = []

    def _evaluation(self, number: int, rows: Sequence[dict[str, str]]) -> Evaluation:
        outcomes = [
            Outcome(
                int(row["seed"]),
                float(row["value"]) if row["value"] else None,
                int(row["epochs"]) if row["epochs"] else None,
                row["run"],
            )
            for row in rows
        ]
        return Evaluation(
            number, tuple(float(rows[0][name]) for name in self.names), rows[0]["status"], tuple(outcomes)
        )

    def save(self) -> None:
        """Write the whole history.csv."""
        write_atomically(self.file, self._content())

    def _content(self) -> bytes:
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(["evaluation", *self.names, "seed", "status", "value", "epochs", "run"])
        for one in self.evaluations:
            for outcome in one.outcomes:
                cells = asdict(outcome)
                writer.writerow([one.number, *one.point, cells.pop("seed"), one.status, *cells.values()])
        return table.getvalue().encode()

    def find(self, point: Point) -> Evaluation | None:
        """Return the evaluation of a density, or None."""
        return next((one for one in self.evaluations if one.point == point), None)

    def ranked(self, sign: int) -> list[Evaluation]:
        """Return the completed evaluations, the best one first; of equal ones, the earlier.

        Args:
            sign: factor that turns a value into one to minimise.
        """
        done = [one for one in self.evaluations if one.status == COMPLETED]
        return sorted(done, key=lambda one: (sign * one.mean, one.number))

    @property
    def tried(self) -> list[Evaluation]:
        """The evaluations besides the references."""
        return [one for one in self.evaluations if one.number >= REFERENCES]

    @property
    def noise(self) -> float:
        """Standard deviation over the seeds, pooled over the references; NaN if unknown."""
        values = [one.values for one in self.evaluations if one.number < REFERENCES and len(one.values) > 1]
        return math.sqrt(fmean(stdev(some) ** 2 for some in values)) if values else math.nan

    @property
    def keeps_failing(self) -> bool:
        """Whether the last three evaluations have failed."""
        last = [one.status for one in self.evaluations[-MOST_FAILURES:]]
        return last == [FAILED] * MOST_FAILURES
