"""What a search has tried: history.csv, a row for each training of an evaluation.

It holds nothing that differs between a search that was stopped and one that was not: no seconds, no dates.
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
REFERENCES = 2  # evaluations that come first: the standard convolution, and the published density
MOST_FAILURES = 3  # in a row


@dataclass(frozen=True)
class Outcome:
    """What came out of a training.

    Attributes:
        seed: of the training.
        value: of the metric that is to be best; None where it failed.
        epochs: how many it trained; None where it failed.
        run: its folder, below that of all runs.
    """

    seed: int
    value: float | None
    epochs: int | None
    run: str


@dataclass(frozen=True)
class Evaluation:
    """A density that was tried.

    Attributes:
        number: from 0; the first two are the references.
        point: the coefficients.
        status: how it ended: completed, failed, or pruned.
        outcomes: one a seed; of an evaluation that failed or was pruned, until then.
    """

    number: int
    point: Point
    status: str
    outcomes: tuple[Outcome, ...]

    @property
    def values(self) -> list[float]:
        """What the trainings that ended well came to."""
        return [outcome.value for outcome in self.outcomes if outcome.value is not None]

    @property
    def mean(self) -> float:
        """Mean over the seeds; NaN where not all of them have a value."""
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
        """Read what was written; a file that is not as `save` writes it counts as none, for the runs tell it again."""
        try:
            content = self.file.read_bytes()
            found: dict[int, list[dict[str, str]]] = {}
            for row in csv.DictReader(io.StringIO(content.decode(), newline="")):
                found.setdefault(int(row["evaluation"]), []).append(row)
            self.evaluations = [self._evaluation(number, found[number]) for number in sorted(found)]
            is_whole = self._content() == content  # one that ends in the middle of a row may well be read
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
        """Write history.csv whole."""
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
        """Return the evaluation of a density, if there was one."""
        return next((one for one in self.evaluations if one.point == point), None)

    def ranked(self, sign: int) -> list[Evaluation]:
        """Return the completed evaluations, the best one first; of equal ones, the earlier.

        Args:
            sign: what turns a value into one of which less is better.
        """
        done = [one for one in self.evaluations if one.status == COMPLETED]
        return sorted(done, key=lambda one: (sign * one.mean, one.number))

    @property
    def tried(self) -> list[Evaluation]:
        """The evaluations besides the references."""
        return [one for one in self.evaluations if one.number >= REFERENCES]

    @property
    def noise(self) -> float:
        """Standard deviation over the seeds, pooled over the references; NaN where it is not known."""
        values = [one.values for one in self.evaluations if one.number < REFERENCES and len(one.values) > 1]
        return math.sqrt(fmean(stdev(some) ** 2 for some in values)) if values else math.nan

    @property
    def keeps_failing(self) -> bool:
        """Whether the last three evaluations have failed."""
        last = [one.status for one in self.evaluations[-MOST_FAILURES:]]
        return last == [FAILED] * MOST_FAILURES
