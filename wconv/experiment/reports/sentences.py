"""State the result of a paired comparison in one sentence.

In this order: better or worse, if Holm's p is below 0.05; else no difference larger than the margin, if the adjusted p
of the equivalence test is below it; else undecided, with the smallest difference that the seeds could show.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wconv.experiment.common.metrics import Metric
from wconv.experiment.reports.statistics import ALPHA, PairedTest


@dataclass(frozen=True)
class Judged:
    """A paired comparison as one of several in a table.

    Attributes:
        test: of values in the unit of the sentence, where more is better.
        p: of the t-test, adjusted for the number of comparisons; nan without a test.
        p_equivalence: of the equivalence test, adjusted likewise.
        comparisons: number of tests in the table.
    """

    test: PairedTest
    p: float
    p_equivalence: float
    comparisons: int

    @property
    def is_different(self) -> bool:
        """Whether the difference is significant."""
        return self.p < ALPHA

    @property
    def is_equivalent(self) -> bool:
        """Whether a difference as large as the margin is rejected."""
        return self.p_equivalence < ALPHA

    @property
    def verdict(self) -> str:
        """The verdict: "better", "worse", "equivalent" or "undecided"."""
        if self.is_different:
            return "better" if self.test.mean > 0 else "worse"
        return "equivalent" if self.is_equivalent else "undecided"


def sentence(name: str, judged: Judged, metric: Metric, margin: float) -> str:
    """Return the sentence on a row.

    Args:
        name: of the row, the subject of the sentence.
        judged: its test result.
        metric: the compared metric.
        margin: the smallest difference that matters, in the unit that the metric is shown in.
    """
    test, unit = judged.test, metric.difference_unit
    seeds = f"{test.n} seed{'s' * (test.n > 1)}"
    amount = _Amount(test, metric)
    if test.n == 1:
        return f"{name}: undecided: {amount.difference} with 1 seed, which may be chance"
    if not test.can_be_tested:
        if test.mean == 0:
            return f"{name}: no difference: equal with each of {seeds}"
        return f"{name}: undecided: {amount.difference} with each of {seeds} alike, which leaves nothing to test"
    interval = f"95 % CI {amount.interval}, {seeds}"
    if judged.is_different:
        within = f", but by less than {margin:g} {unit}" if judged.is_equivalent else ""
        return f"{name}: {amount.difference}{within} ({interval})"
    if judged.is_equivalent:
        p = format_p(judged.p_equivalence)
        return f"{name}: no difference larger than {margin:g} {unit} (equivalence, {p}, {seeds})"
    if test.p < ALPHA:
        p = format_p(judged.p)
        return (
            f"{name}: undecided: {amount.difference} ({interval}), "
            f"but among {judged.comparisons} comparisons this may be chance ({p})"
        )
    return f"{name}: undecided: {amount.difference} ({interval}); {seeds} could show {amount.smallest} {unit}"


class _Amount:
    """The numbers of a sentence, with as many decimals as they need."""

    def __init__(self, test: PairedTest, metric: Metric) -> None:
        self._test, self._metric = test, metric
        shown = (test.low, test.high, test.high - test.low) if test.can_be_tested else (test.mean,)
        self._least = min((abs(value) for value in shown if value), default=1.0)

    def _format(self, value: float, least: float) -> str:
        decimals = self._metric.difference_decimals
        needed = -math.floor(math.log10(least)) if least else decimals
        return f"{value + 0.0:.{max(decimals, min(needed, decimals + 2))}f}"

    @property
    def difference(self) -> str:
        """The mean difference in words, without a sign."""
        mean = self._test.mean
        if not mean:
            return "equal"
        return (
            f"{self._format(abs(mean), self._least)} {self._metric.difference_unit} {'better' if mean > 0 else 'worse'}"
        )

    @property
    def interval(self) -> str:
        """The interval, with the sign that the words imply."""
        low, high = self._test.low, self._test.high
        ends = (low, high) if self._test.mean > 0 else (-high, -low)
        return " to ".join(self._format(end, self._least) for end in ends)

    @property
    def smallest(self) -> str:
        """The smallest difference that the seeds could show."""
        return self._format(self._test.smallest, self._test.smallest)


def format_p(p: float) -> str:
    """Format a p-value: "p = 0.03", "p < 0.001"."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}" if p < 0.1 else f"p = {p:.2f}"


def left_out(seeds: Mapping[str, Sequence[int]]) -> str:
    """List the seeds without a pair, by reason; empty if there are none."""
    texts = [f"seed{'s' * (len(some) > 1)} {_ranges(some)} ({reason})" for reason, some in seeds.items()]
    return f"; left out: {', '.join(texts)}" if texts else ""


def _ranges(seeds: Sequence[int]) -> str:
    """Format numbers as "1, 3 to 7"."""
    runs: list[list[int]] = []
    for seed in sorted(seeds):
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)
