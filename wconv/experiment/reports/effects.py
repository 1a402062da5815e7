"""Effects: the difference of each row of a comparison to its reference, with tests and a sentence."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wconv.experiment.common.metrics import METRICS, PRIMARY, heading
from wconv.experiment.common.metrics import metric as metric_of
from wconv.experiment.reports.comparison import Comparison
from wconv.experiment.reports.pairing import Pairing, Reference, choose_reference, pair
from wconv.experiment.reports.row_names import RowName, name_rows
from wconv.experiment.reports.sentences import Judged, left_out, sentence
from wconv.experiment.reports.statistics import ENOUGH, bootstrap_interval, holm, paired_test, sign_flip_p


@dataclass(frozen=True)
class Effect:
    """A row against its reference.

    Attributes:
        pairing: the two rows.
        name: of the row.
        judged: its test result; None if it cannot be compared, or no seed has a run of both.
        sentence: the conclusion in words.
    """

    pairing: Pairing
    name: RowName
    judged: Judged | None
    sentence: str

    @property
    def verdict(self) -> str:
        """The verdict: "better", "worse", "equivalent", "undecided" or "not compared"."""
        return self.judged.verdict if self.judged else "not compared"


class Effects:
    """All rows of a comparison against a reference, by one metric.

    Args:
        comparison: with the rows.
        reference: to compare with.
        margin: the smallest difference that matters, in points or dB; default of the metric if not given.
        metric: logged name of the metric to compare, such as "test/bsd68/psnr"; if not given, the first metric of the
            task over all test images.

    Attributes:
        reference: as given.
        metric: logged name of the compared metric.
        unit: of all differences.
        margin: as given, or that of the metric.

    Raises:
        ValueError: no run has such a metric, or the margin is not above zero.
    """

    def __init__(
        self, comparison: Comparison, reference: Reference, margin: float | None = None, metric: str = ""
    ) -> None:
        self.metric = metric or _compared(comparison)
        if not self.metric:
            raise ValueError(f"there is nothing to compare: no run has test/{' or test/'.join(PRIMARY)}")
        if self.metric not in comparison.measured or not metric_of(self.metric):
            raise ValueError(f"--metric {metric}: no run has it; there are {', '.join(comparison.measured)}")
        self.comparison, self._metric = comparison, METRICS[self.metric.rpartition("/")[2]]
        self.reference = reference
        self.unit = self._metric.difference_unit
        self.margin = self._metric.margin if margin is None else margin
        if not 0 < self.margin < math.inf:
            raise ValueError(f"a margin of {self.margin:g} {self.unit}: choose one above zero")

    @cached_property
    def rows(self) -> list[Effect]:
        """One effect per row that is not a reference, in the order of the table."""
        pairings = pair(self.comparison, self.reference)
        found = zip(pairings, self.judge([pairing.values(self.metric) for pairing in pairings]), strict=True)
        return [
            Effect(pairing, name, judged, self._sentence(str(name), pairing, judged))
            for pairing, judged in found
            for name in [self.names[pairing.row]]
        ]

    @cached_property
    def names(self) -> list[RowName]:
        """Names of all rows of the table, including references."""
        return name_rows(self.comparison, self.reference.may_differ)

    def judge(self, pairs: Sequence[NDArray[np.float64]]) -> list[Judged | None]:
        """Test the differences of one table, adjusting for multiple comparisons.

        Args:
            pairs: for each row (2, n), logged values of the metric and those of the reference; n may be 0.

        Returns:
            The result of each row, in points or dB, above zero if the row is better; None if it has no pair.
        """
        factor = self._metric.factor * (1 if self._metric.best == "max" else -1)
        tests = []
        for values in pairs:
            tests.append(paired_test(factor * values[0], factor * values[1], self.margin) if values.size else None)
        p_values = holm([test.p if test else math.nan for test in tests])
        p_equivalence = holm([test.p_equivalence if test else math.nan for test in tests])
        count = sum(not math.isnan(p) for p in p_values)
        found = zip(tests, p_values, p_equivalence, strict=True)
        return [Judged(test, p, equivalence, count) if test else None for test, p, equivalence in found]

    def _sentence(self, name: str, pairing: Pairing, judged: Judged | None) -> str:
        if not judged:
            said = f"{name}: not compared: {pairing.refusal or 'no seed has runs of both that can be compared'}"
        else:
            said = self.say(name, judged)
        return said + left_out(pairing.left_out(self.metric))

    def say(self, name: str, judged: Judged) -> str:
        """Return the conclusion on a row in words."""
        return sentence(name, judged, self._metric, self.margin)

    @property
    def title(self) -> str:
        """Title of the table: reference, metric and unit."""
        sets = self.metric.count("/") == 1 and any(name.count("/") == 2 for name in self.comparison.measured)
        what = f"{heading(self.metric)}{' over the images of all test sets' * sets}"
        return f"Against {self.reference}, paired by seed, {what}, margin {self.margin:g} {self.unit}"

    @cached_property
    def table(self) -> pd.DataFrame:
        """Unrounded results of each row, in points or dB, above zero if it is better; indexed by row of the table.

        Only rows with six pairs or more have a sign-flip test and a bootstrap interval.
        """
        rows = {}
        for effect in self.rows:
            columns: dict[str, object] = {"name": str(effect.name), "verdict": effect.verdict, "pairs": 0}
            if effect.judged:
                test = effect.judged.test
                columns |= {"pairs": test.n, "difference": test.mean, "difference 95% low": test.low}
                columns |= {"difference 95% high": test.high, "p": test.p, "Holm p": effect.judged.p}
                columns |= {"smallest": test.smallest, "equivalence p": effect.judged.p_equivalence}
                if test.can_be_tested and test.n >= ENOUGH:
                    low, high = bootstrap_interval(test.differences)
                    columns |= {"sign-flip p": sign_flip_p(test.differences)}
                    columns |= {"bootstrap 95% low": low, "bootstrap 95% high": high}
            rows[effect.pairing.row] = columns | {"sentence": effect.sentence}
        return pd.DataFrame.from_dict(rows, orient="index").astype({"pairs": "Int64"})


def find_effects(
    comparison: Comparison,
    against: Sequence[str] = (),
    by: str = "",
    margin: float | None = None,
    single_runs: bool = False,
    metric: str = "",
) -> Effects | None:
    """Compare the rows with a reference; None if there is none, or if all rows are single runs.

    Single runs have no statistics, so they are compared only on request.

    Args:
        comparison: with the rows.
        against: as in `choose_reference`.
        by: as in `choose_reference`.
        margin: as in `Effects`.
        single_runs: compare single runs even if no option requests it.
        metric: as in `Effects`.

    Raises:
        ValueError: the requested comparison is impossible; the message says why.
    """
    reference = choose_reference(comparison, against, by)
    for option, given in (("--margin", margin is not None), ("--metric", bool(metric))):
        if given and not reference:
            raise ValueError(f"{option}: no two rows are compared; name the row to compare with by --against KEY=VALUE")
    asked = against or by or metric or margin is not None
    if reference and (asked or ((single_runs or comparison.has_repeated_runs) and _compared(comparison))):
        return Effects(comparison, reference, margin, metric)
    return None


def _compared(comparison: Comparison) -> str:
    """Return the default metric of a comparison; empty if no run has it."""
    return next((f"test/{name}" for name in PRIMARY if f"test/{name}" in comparison.measured), "")
