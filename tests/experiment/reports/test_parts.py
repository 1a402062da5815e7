"""What start, step and decay are worth: by hand-worked numbers, and only where all eight arms were trained."""

import pytest

from wconv.experiment.reports.brief import parts_table, sentences
from wconv.experiment.reports.comparison import Comparison
from wconv.experiment.reports.effects import find_effects
from wconv.experiment.reports.parts import worth_of_parts

EIGHT = {
    "standard": (0, 0, 0),
    "scaled_init": (1, 0, 0),
    "step": (0, 1, 0),
    "decay": (0, 0, 1),
    "start + step": (1, 1, 0),
    "start + decay": (1, 0, 1),
    "step + decay": (0, 1, 1),
    "weighted": (1, 1, 1),
}
WORTH = (0.002, -0.001, 0.015)  # of start, step and decay
SEEDS = (0.0, 0.01, -0.01, 0.02)


def accuracies(arm: str, wobble: float = 0.0004) -> list[float]:
    gain = sum(worth for worth, has in zip(WORTH, EIGHT[arm], strict=True) if has)
    both = 0.01 * (arm in ("start + step", "weighted"))  # what start and step do together
    decay = EIGHT[arm][2]
    return [0.4 + seed + gain + both + wobble * decay * place for place, seed in enumerate(SEEDS)]


@pytest.fixture
def effects_of(make_row):
    def make(arms=EIGHT, **features):
        return find_effects(Comparison([run for arm in arms for run in make_row(arm, accuracies(arm), **features)]))

    return make


def test_a_part_is_worth_the_arms_with_it_less_those_without(effects_of) -> None:
    worth = {found.name: found.judged for found in worth_of_parts(effects_of())}
    # What start and step do together is in two of the four arms of either: half of it is counted for each.
    assert worth["with start"].test.mean == pytest.approx(0.2 + 0.5)
    assert worth["with step"].test.mean == pytest.approx(-0.1 + 0.5)
    assert worth["with decay"].test.differences == pytest.approx([1.5, 1.54, 1.58, 1.62])
    assert [found.comparisons for found in worth.values()] == [1, 1, 1], "start and step are equal with each seed"
    assert worth["with decay"].p < 0.001


def test_the_three_are_corrected_for_each_other(make_row) -> None:
    noise = {arm: [0.0003 * ((7 * place + 3 * seed) % 5) for seed in range(4)] for place, arm in enumerate(EIGHT)}
    rows = [make_row(arm, [a + n for a, n in zip(accuracies(arm), noise[arm], strict=True)]) for arm in EIGHT]
    worth = worth_of_parts(find_effects(Comparison([run for row in rows for run in row])))
    assert {found.judged.comparisons for found in worth} == {3}
    smallest = min(found.judged.test.p for found in worth)
    assert min(found.judged.p for found in worth) == pytest.approx(3 * smallest)


def test_it_is_one_of_the_sentences_and_a_table(effects_of) -> None:
    effects = effects_of()
    worth = worth_of_parts(effects)
    assert "with start: " + sentences(effects, ["with start"], worth) == worth[0].sentence
    assert [line.split("|")[1].strip() for line in parts_table(worth, effects).splitlines()[2:]] == [
        "with start",
        "with step",
        "with decay",
    ]


def test_each_setting_counts_for_itself(make_row) -> None:
    rows = [make_row(arm, accuracies(arm), lr=lr) for arm in EIGHT for lr in (0.1, 0.2)]
    effects = find_effects(Comparison([run for row in rows for run in row]))
    assert [found.name for found in worth_of_parts(effects)] == [
        f"lr {lr}: with {part}" for lr in (0.1, 0.2) for part in ("start", "step", "decay")
    ]


def test_a_seed_counts_if_all_eight_have_it(make_row) -> None:
    rows = [make_row(arm, accuracies(arm)) for arm in EIGHT if arm != "step"]
    rows.append(make_row("step", [*accuracies("step")[:2], float("nan")]))
    effects = find_effects(Comparison([run for row in rows for run in row]))
    assert {found.judged.test.n for found in worth_of_parts(effects)} == {2}


def test_seven_arms_do_not_do(effects_of) -> None:
    effects = effects_of([arm for arm in EIGHT if arm != "start + step"])
    with pytest.raises(ValueError, match=r"^--parts: no setting has runs of all eight combinations"):
        worth_of_parts(effects)
