"""What is said of a row, from its runs to the sentence: each form, and how often it is wrong."""

from collections import Counter

import numpy as np
import pytest

from wconv.experiment.reports.comparison import Comparison
from wconv.experiment.reports.effects import Effects
from wconv.experiment.reports.pairing import choose_reference

NAN = float("nan")
STANDARD = [0.70, 0.71, 0.69, 0.72, 0.70, 0.68, 0.71, 0.70]
WOBBLE = np.array([0.3, -0.2, 0.1, 0.4, -0.3, 0.2, -0.1, 0.0])  # of differences, in points
pytestmark = pytest.mark.filterwarnings("error")


def effects_of(*rows, margin=None, against=()) -> Effects:
    comparison = Comparison([run for row in rows for run in row])
    return Effects(comparison, choose_reference(comparison, against), margin)


def said(make_row, values, reference=STANDARD, margin=None, metric="test/acc", **options) -> str:
    standard = make_row("standard", reference[: len(values)], metric)
    (row,) = effects_of(standard, make_row("weighted", values, metric, **options), margin=margin).rows
    return row.sentence


def shifted(points, count=8, spread=1.0) -> list[float]:
    return [float(value) for value in STANDARD[:count] + (points + spread * WOBBLE[:count]) / 100]


@pytest.mark.parametrize(
    ("values", "margin", "sentence"),
    [
        (shifted(1.2, 5), None, "weighted: 1.3 points better (95 % CI 0.9 to 1.6, 5 seeds)"),
        (shifted(-1.2, 5), None, "weighted: 1.1 points worse (95 % CI 0.8 to 1.5, 5 seeds)"),
        (
            shifted(0.3),
            None,
            "weighted: 0.3 points better, but by less than 0.6 points (95 % CI 0.1 to 0.6, 8 seeds)",
        ),
        (shifted(0.05), None, "weighted: no difference larger than 0.5 points (equivalence, p = 0.0012, 8 seeds)"),
        (
            shifted(0.05),
            0.01,
            "weighted: undecided: 0.1 points better (95 % CI -0.1 to 0.3, 8 seeds); 8 seeds could show 0.3 points",
        ),
        (
            shifted(0.2, 5, 4),
            None,
            "weighted: undecided: 0.4 points better (95 % CI -1.1 to 2.0, 5 seeds); 5 seeds could show 2.1 points",
        ),
    ],
)
def test_forms(make_row, values, margin, sentence) -> None:
    margin = 0.6 if "0.6 points (" in sentence else margin
    assert said(make_row, values, margin=margin) == sentence


def test_psnr_is_in_decibels_with_a_margin_of_its_own(make_row) -> None:
    reference = [30.0, 30.1, 29.9, 30.2, 30.0]
    better = [value + step for value, step in zip(reference, (0.10, 0.12, 0.11, 0.13, 0.09), strict=True)]
    same = [value + step for value, step in zip(reference, (0.01, -0.01, 0.0, 0.01, -0.01), strict=True)]
    assert said(make_row, better, reference, metric="test/psnr") == (
        "weighted: 0.11 dB better (95 % CI 0.09 to 0.13, 5 seeds)"
    )
    assert said(make_row, same, reference, metric="test/psnr") == (
        "weighted: no difference larger than 0.05 dB (equivalence, p < 0.001, 5 seeds)"
    )


@pytest.mark.parametrize(
    ("values", "reference", "sentence"),
    [
        ([0.72], [0.70], "weighted: undecided: 2.0 points better with 1 seed, which may be chance"),
        ([0.70], [0.70], "weighted: undecided: equal with 1 seed, which may be chance"),
        ([0.70] * 3, [0.70] * 3, "weighted: no difference: equal with each of 3 seeds"),
        (
            [0.71] * 3,
            [0.70] * 3,
            "weighted: undecided: 1.0 points better with each of 3 seeds alike, which leaves nothing to test",
        ),
    ],
)
def test_one_seed_and_seeds_that_are_all_equal(make_row, values, reference, sentence) -> None:
    assert said(make_row, values, reference) == sentence


def test_a_diverged_run_and_a_seed_without_partner_make_no_pair_and_are_named(make_row) -> None:
    values = shifted(1.2)
    values[2] = NAN
    whole = said(make_row, [*values[:2], *values[3:7]], STANDARD[:2] + STANDARD[3:])
    left_out = effects_of(make_row("standard", STANDARD), make_row("weighted", values[:7])).rows[0].sentence
    assert left_out == f"{whole}; left out: seed 2 (diverged), seed 7 (no partner)"
    assert "6 seeds)" in whole


@pytest.mark.parametrize(
    ("value", "reason"), [(NAN, "seeds 0 to 2 (diverged)"), (float("inf"), "seeds 0 to 2 (infinite test/psnr)")]
)
def test_where_no_pair_is_left_nothing_is_compared(make_row, value, reason) -> None:
    sentence = said(make_row, [value] * 3, [30.0, 31.0, 32.0], metric="test/psnr")
    assert sentence == f"weighted: not compared: no seed has runs of both that can be compared; left out: {reason}"


def test_better_alone_but_not_among_many_is_undecided_and_says_both(make_row) -> None:
    # The differences have a mean of 0.6 and a deviation of 0.418: t = 3.207, p = 0.0327, which Holm doubles for two.
    values = [float(v) for v in STANDARD[:5] + np.array([1.0, 0.2, 0.9, 0.1, 0.8]) / 100]
    other = shifted(0.2, 5, 4)
    alone = said(make_row, values)
    rows = effects_of(
        make_row("standard", STANDARD[:5]), make_row("weighted", values), make_row("trainable", other)
    ).rows
    assert alone == "weighted: 0.60 points better (95 % CI 0.08 to 1.12, 5 seeds)"
    assert rows[0].sentence == (
        "weighted: undecided: 0.60 points better (95 % CI 0.08 to 1.12, 5 seeds), "
        "but among 2 comparisons this may be chance (p = 0.065)"
    )


def verdicts(make_row, generator, simulations, effects, seeds, margin=None) -> Counter[str]:
    """Count in how many simulations some row is said to be better, worse or equivalent.

    Args:
        make_row: the fixture.
        generator: of the noise: a part that the arms of a seed share, and one of each run, of 0.5 points each.
        simulations: how many.
        effects: the true difference of each arm from the standard one, in points.
        seeds: how many runs of each arm.
        margin: as in `Effects`.
    """
    found: Counter[str] = Counter()
    for _ in range(simulations):
        shared = generator.normal(70, 0.5, seeds)
        arms = dict(zip(("standard", "weighted", "trainable", "scaled_init"), (0.0, *effects), strict=False))
        noise = {arm: generator.normal(shared + effect, 0.5) / 100 for arm, effect in arms.items()}
        rows = effects_of(*(make_row(arm, values.tolist()) for arm, values in noise.items()), margin=margin).rows
        said = {row.verdict for row in rows}
        found.update(said)
        found["different"] += bool(said & {"better", "worse"})
    return found


@pytest.fixture
def fast(monkeypatch) -> None:
    """Statsmodels collects garbage whenever it adjusts p-values, which is nine tenths of the time of a simulation."""
    monkeypatch.setattr("gc.collect", lambda: 0)


@pytest.mark.usefixtures("fast")
def test_without_an_effect_a_table_says_better_in_at_most_5_percent_of_simulations(make_row) -> None:
    count = 2000
    found = verdicts(make_row, np.random.default_rng(0), count, (0, 0, 0), seeds=5)
    assert found["better"] <= 0.05 * count
    # Better or worse: at most 5 % of tables, up to chance; and not so seldom that the test would show nothing.
    assert 0.03 * count < found["different"] <= (0.05 + 3 * (0.05 * 0.95 / count) ** 0.5) * count


@pytest.mark.usefixtures("fast")
def test_an_effect_of_the_smallest_size_is_found_with_the_stated_power(make_row) -> None:
    count = 1000
    deviation = 0.5 * 2**0.5  # of the difference of two runs of a seed
    found = verdicts(make_row, np.random.default_rng(1), count, (1.156 * deviation,), seeds=8)  # d for 8 pairs
    assert 0.76 * count < found["better"] < 0.84 * count
    assert found["worse"] == 0


@pytest.mark.usefixtures("fast")
def test_a_difference_as_large_as_the_margin_is_denied_in_at_most_5_percent_of_simulations(make_row) -> None:
    count = 1000
    found = verdicts(make_row, np.random.default_rng(2), count, (1.0,), seeds=8, margin=1.0)
    # Better wins over equivalent, so the sentence that denies it is rarer still.
    assert found["equivalent"] <= 0.05 * count
