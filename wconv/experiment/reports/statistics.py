"""Statistics of paired differences, as functions of arrays, with scipy and statsmodels.

Both are imported inside functions: loading them takes longer than making a table of single runs.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

ALPHA = 0.05  # two-sided
POWER = 0.8
ENOUGH = 6  # pairs: with fewer, the smallest p of a sign-flip test is 2 / 2^5 = 0.0625
RESAMPLES = 9_999
SAME = 1e-9  # relative to the largest value: differences this close are equal up to rounding
NAN = math.nan


@dataclass(frozen=True)
class PairedTest:
    """A paired comparison of n values with those of a reference.

    If no test is possible, with one pair or with equal differences, its results are nan.

    Attributes:
        differences: (n,), value minus reference.
        mean: of the differences.
        low: lower end of the 95 % t-interval of the mean.
        high: upper end of it.
        p: of the paired t-test, two-sided.
        smallest: the smallest difference that a paired t-test with n pairs and this spread detects with 80 % power.
        p_equivalence: of the two one-sided tests (TOST) that the mean lies within the margin.
    """

    differences: NDArray[np.float64]
    mean: float
    low: float = NAN
    high: float = NAN
    p: float = NAN
    smallest: float = NAN
    p_equivalence: float = NAN

    @property
    def n(self) -> int:
        """Number of pairs."""
        return len(self.differences)

    @property
    def can_be_tested(self) -> bool:
        """Whether there are two or more pairs with differences that are not all equal."""
        return not math.isnan(self.p)


def paired_test(values: ArrayLike, reference: ArrayLike, margin: float) -> PairedTest:
    """Compare paired values with the t-test, and for equivalence with TOST (Schuirmann 1987).

    Args:
        values: (n,), finite, n at least 1.
        reference: (n,), in the same order and unit.
        margin: in the same unit, above zero.
    """
    ours, theirs = np.asarray(values, float), np.asarray(reference, float)
    differences = ours - theirs
    mean = float(differences.mean())
    if len(differences) < 2 or np.ptp(differences) <= SAME * max(np.abs(ours).max(), np.abs(theirs).max()):
        return PairedTest(differences, mean)
    from scipy.stats import ttest_rel
    from statsmodels.stats.weightstats import ttost_paired

    test = ttest_rel(ours, theirs)
    interval = test.confidence_interval(1 - ALPHA)
    smallest = _smallest_effect(len(differences)) * float(differences.std(ddof=1))
    p_equivalence = float(ttost_paired(ours, theirs, -margin, margin)[0])
    return PairedTest(
        differences, mean, float(interval.low), float(interval.high), float(test.pvalue), smallest, p_equivalence
    )


@cache
def _smallest_effect(pairs: int) -> float:
    """Return the smallest effect that a paired t-test detects with 80 % power, in standard deviations."""
    from statsmodels.stats.power import TTestPower

    return float(TTestPower().solve_power(nobs=pairs, alpha=ALPHA, power=POWER, alternative="two-sided"))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust the p-values of a table by Holm's method, which controls the family-wise error rate.

    Args:
        p_values: nan for rows without a test, which stay nan and do not count.
    """
    adjusted = np.asarray(p_values, float)
    tested = ~np.isnan(adjusted)
    if tested.any():
        from statsmodels.stats.multitest import multipletests

        adjusted[tested] = multipletests(adjusted[tested], ALPHA, method="holm")[1]
    return [float(p) for p in adjusted]


def sign_flip_p(differences: ArrayLike) -> float:
    """Return the two-sided p of the sign-flip test.

    This is the share of sign patterns whose mean is at least as far from zero as the observed one. It does
    not assume a normal distribution. Exact up to 13 pairs; above, from a fixed random sample of sign patterns.
    """
    from scipy.stats import permutation_test

    values = np.asarray(differences, float)
    generator = np.random.default_rng(0)
    result = permutation_test((values,), _mean, permutation_type="samples", n_resamples=RESAMPLES, rng=generator)
    return float(result.pvalue)


def bootstrap_interval(differences: ArrayLike) -> tuple[float, float]:
    """Return the 95 % BCa bootstrap interval of the mean (Efron 1987), always the same for the same values.

    It does not assume a normal distribution. Both ends are nan if the resamples do not determine them.
    """
    from scipy.stats import bootstrap

    values = np.asarray(differences, float)
    generator = np.random.default_rng(0)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # about equal resamples, for which the interval is nan
        result = bootstrap((values,), _mean, n_resamples=RESAMPLES, method="BCa", rng=generator)
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def half_widths(deviations: ArrayLike, counts: ArrayLike) -> NDArray[np.float64]:
    """Return half the widths of the 95 % t-intervals of means; nan for n = 1.

    Args:
        deviations: (rows,), the sample standard deviation of each.
        counts: (rows,), n of each.
    """
    spread, n = np.asarray(deviations, float), np.asarray(counts, float)
    widths = np.full(spread.shape, NAN)
    known = (n > 1) & ~np.isnan(spread)
    if known.any():
        from scipy.special import stdtrit

        widths[known] = stdtrit(n[known] - 1, 1 - ALPHA / 2) * spread[known] / np.sqrt(n[known])
    return widths


def _mean(values: NDArray[Any], axis: int = -1) -> NDArray[Any]:
    return np.asarray(np.mean(values, axis=axis))
