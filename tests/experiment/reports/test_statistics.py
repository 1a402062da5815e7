"""The statistics against numbers worked by hand, distributions, and other ways of the libraries to the same numbers."""

import math

import numpy as np
import pytest
from scipy import stats

from wconv.experiment.reports.statistics import (
    bootstrap_interval,
    half_widths,
    holm,
    paired_test,
    sign_flip_p,
)

pytestmark = pytest.mark.filterwarnings("error")


def test_paired_t_test_by_hand() -> None:
    # The differences are 1 to 5: mean 3, deviation sqrt(2.5), standard error sqrt(0.5); t = 4.2426 with 4 degrees.
    test = paired_test([11, 22, 33, 44, 55], [10, 20, 30, 40, 50], margin=0.5)
    assert (test.n, test.mean) == (5, 3)
    assert test.p == pytest.approx(0.01324, abs=5e-6)
    assert (test.low, test.high) == pytest.approx((3 - 2.776445 * 0.5**0.5, 3 + 2.776445 * 0.5**0.5), abs=1e-5)


def test_equivalence_by_hand() -> None:
    # Mean 0.1, squares of the deviations 0.2, standard error 0.1. Within 0.5: t = 6 and -4; P(t < -4) is 0.00807.
    test = paired_test([0.8, 1.0, 1.1, 1.2, 1.4], np.ones(5), margin=0.5)
    assert test.p_equivalence == pytest.approx(0.00807, abs=5e-6)


def test_against_scipy_on_values_of_two_arms() -> None:
    generator = np.random.default_rng(1)
    ours, theirs = generator.normal(70.3, 1, 9), generator.normal(70, 1, 9)
    test = paired_test(ours, theirs, margin=1.0)
    assert test.p == pytest.approx(stats.ttest_1samp(ours - theirs, 0).pvalue)
    one_sided = [
        stats.ttest_1samp(ours - theirs, -1, alternative="greater").pvalue,
        stats.ttest_1samp(ours - theirs, 1, alternative="less").pvalue,
    ]
    assert test.p_equivalence == pytest.approx(max(one_sided))
    interval = stats.t.interval(0.95, 8, np.mean(ours - theirs), stats.sem(ours - theirs))
    assert (test.low, test.high) == pytest.approx(interval)


@pytest.mark.parametrize("pairs", [2, 3, 5, 8, 20, 100])
def test_the_smallest_difference_is_found_with_a_power_of_80_percent(pairs: int) -> None:
    differences = np.random.default_rng(pairs).normal(0, 2, pairs)
    smallest = paired_test(differences, np.zeros(pairs), margin=1.0).smallest
    noncentrality = smallest / stats.sem(differences)
    critical = stats.t.ppf(0.975, pairs - 1)
    power = stats.nct.sf(critical, pairs - 1, noncentrality) + stats.nct.cdf(-critical, pairs - 1, noncentrality)
    assert power == pytest.approx(0.8, abs=1e-4)


def test_holm_by_hand() -> None:
    # In order 0.01 * 3, 0.03 * 2, 0.04 * 1, which may not fall below the one before it.
    assert holm([0.04, 0.01, math.nan, 0.03]) == pytest.approx([0.06, 0.03, math.nan, 0.06], nan_ok=True)
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


def test_sign_flips_by_hand() -> None:
    assert sign_flip_p([1, 2, 3, 4, 5, 6]) == 2 / 2**6
    # Of 64 arrangements two have a sum of 14.5 or more, all positive and this one; as many have one of -14.5 or less.
    assert sign_flip_p([1, 2, 3, 4, 5, -0.5]) == 4 / 2**6
    assert sign_flip_p(np.zeros(6)) == 1


def test_sign_flips_of_many_pairs_are_drawn_and_always_the_same() -> None:
    differences = np.random.default_rng(3).normal(0.4, 1, 30)
    assert sign_flip_p(differences) == sign_flip_p(differences)
    assert sign_flip_p(differences) == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=0.01)


def test_bca_against_its_equations() -> None:
    values = np.random.default_rng(4).gamma(1.0, size=12)
    means = np.random.default_rng(5).choice(values, (40_000, 12)).mean(axis=1)
    bias = stats.norm.ppf((means < values.mean()).mean())
    left_out = (values.sum() - values) / 11
    spread = left_out.mean() - left_out
    acceleration = (spread**3).sum() / (6 * (spread**2).sum() ** 1.5)
    shifted = bias + stats.norm.ppf([0.025, 0.975])
    expected = np.quantile(means, stats.norm.cdf(bias + shifted / (1 - acceleration * shifted)))
    assert bootstrap_interval(values) == pytest.approx(tuple(expected), abs=0.03)
    assert bootstrap_interval(values) == bootstrap_interval(values)


def test_intervals_of_means_by_hand() -> None:
    widths = half_widths([1.0, 2.0, math.nan, 0.0], [5, 1, 3, 4])
    assert widths.tolist() == pytest.approx([2.776445 / 5**0.5, math.nan, math.nan, 0], abs=1e-6, nan_ok=True)


@pytest.mark.parametrize(
    ("values", "reference"),
    [
        ([0.7], [0.6]),
        ([0.7] * 5, [0.7] * 5),
        ([0.7] * 5, [0.6] * 5),
        ([0.1 + 0.2, 0.4 + 0.3], [0.3, 0.7]),
        ([1e-300, 1e-300], [0, 0]),
        ([0, 0, 0], [0, 0, 0]),
    ],
)
def test_one_pair_and_equal_differences_are_not_tested(values: list[float], reference: list[float]) -> None:
    test = paired_test(values, reference, margin=0.5)
    assert not test.can_be_tested
    assert test.mean == pytest.approx(np.mean(values) - np.mean(reference))
    assert math.isnan(test.p)


@pytest.mark.parametrize("noise", [1e-12, 1e-9, 1e-7, 1e-3, 1e3])
@pytest.mark.parametrize("pairs", [2, 3, 6, 14])
def test_no_spread_is_too_small_or_too_large_for_a_number_without_a_warning(noise: float, pairs: int) -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        test = paired_test(70 + noise * generator.normal(size=pairs), np.full(pairs, 69.5), margin=0.5)
        numbers = [test.mean, test.low, test.high, test.p, test.smallest, test.p_equivalence]
        assert np.isfinite(numbers[:1] if not test.can_be_tested else numbers).all()
        if test.can_be_tested and pairs >= 6:
            assert np.isfinite([sign_flip_p(test.differences), *bootstrap_interval(test.differences)]).all()
