"""history.csv: what a search has tried."""

import math
from pathlib import Path

import pytest

from wconv.experiment.search.history import COMPLETED, FAILED, PRUNED, Evaluation, History, Outcome

NAMES = ("k5[0]", "k5[1]")


def evaluation(number: int, values: list[float | None], status: str = COMPLETED, point=None) -> Evaluation:
    outcomes = [
        Outcome(seed, value, None if value is None else 5, f"vgg-s{seed}-{number}") for seed, value in enumerate(values)
    ]
    return Evaluation(number, point or (0.1 * number, 0.8), status, tuple(outcomes))


def history(folder: Path, *evaluations: Evaluation) -> History:
    made = History(folder / "history.csv", NAMES)
    made.evaluations = list(evaluations)
    return made


def loaded(folder: Path) -> History:
    made = history(folder)
    made.load()
    return made


def statuses(folder: Path, *all_of_them: str) -> History:
    values = {COMPLETED: [0.5], FAILED: [None], PRUNED: [0.5]}
    return history(folder, *(evaluation(number, values[one], one) for number, one in enumerate(all_of_them)))


def test_what_is_saved_is_loaded(tmp_path):
    before = history(
        tmp_path,
        evaluation(0, [1 / 3, 0.1 + 0.2], point=(1.0, 1.0)),  # bit by bit, for a search that goes on depends on it
        evaluation(1, [0.5, None], FAILED),
        evaluation(2, [0.5], PRUNED),
    )
    before.save()
    assert loaded(tmp_path).evaluations == before.evaluations
    content = (tmp_path / "history.csv").read_bytes()
    loaded(tmp_path).save()
    assert (tmp_path / "history.csv").read_bytes() == content


def test_a_row_is_a_training(tmp_path):
    history(tmp_path, evaluation(0, [0.5, None], FAILED)).save()
    assert (tmp_path / "history.csv").read_text().splitlines() == [
        "evaluation,k5[0],k5[1],seed,status,value,epochs,run",
        "0,0.0,0.8,0,failed,0.5,5,vgg-s0-0",
        "0,0.0,0.8,1,failed,,,vgg-s1-0",
    ]


def test_a_history_that_is_not_there_is_empty(tmp_path):
    assert loaded(tmp_path).evaluations == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) - 20],  # the last row ends in the middle
        lambda content: content.replace(b"0.25", b"0.2x"),
        lambda content: content.replace(b"k5[1]", b"k3[0]"),  # of another search
        lambda content: content.replace(b"seed", b"sead"),
        lambda content: b"\x00\xff" + content,
        lambda content: content.splitlines()[0] + b"\nnonsense\n",
    ],
)
def test_a_damaged_history_counts_as_none(tmp_path, damage):
    made = history(tmp_path, evaluation(0, [0.25, 0.5]), evaluation(1, [0.5, 0.75]))
    made.save()
    made.file.write_bytes(damage(made.file.read_bytes()))
    assert loaded(tmp_path).evaluations == []
    made.load()
    assert made.evaluations == []  # nor does what was there before stay


def test_the_evaluation_of_a_density_is_found(tmp_path):
    made = history(tmp_path, evaluation(0, [0.5], point=(0.2, 0.8)), evaluation(1, [None], FAILED, (0.3, 0.8)))
    assert made.find((0.3, 0.8)) == made.evaluations[1]
    assert made.find((0.3, 0.801)) is None


def test_the_best_comes_first_and_of_equal_ones_the_earlier(tmp_path):
    made = history(
        tmp_path,
        evaluation(0, [0.5, 0.7]),
        evaluation(1, [0.9, 0.9]),
        evaluation(2, [0.7, 0.5]),  # the same mean as number 0
        evaluation(3, [0.99, None], FAILED),
        evaluation(4, [0.99], PRUNED),
        evaluation(5, [0.1, 0.2]),
    )
    assert [one.number for one in made.ranked(-1)] == [1, 0, 2, 5]
    assert [one.number for one in made.ranked(1)] == [5, 0, 2, 1]


def test_only_a_completed_evaluation_has_a_mean():
    assert evaluation(0, [0.5, 0.75]).mean == 0.625
    assert math.isnan(evaluation(0, [0.5], PRUNED).mean)
    assert math.isnan(evaluation(0, [0.5, None], FAILED).mean)


def test_noise_is_that_of_the_references(tmp_path):
    made = history(tmp_path, evaluation(0, [0.5, 0.7]), evaluation(1, [0.1, 0.5]), evaluation(2, [0.0, 9.0]))
    assert made.noise == pytest.approx(math.sqrt((0.02 + 0.08) / 2))  # variances of two values each
    assert [one.number for one in made.tried] == [2]


def test_noise_is_unknown_with_one_seed(tmp_path):
    assert math.isnan(history(tmp_path, evaluation(0, [0.5]), evaluation(1, [0.6])).noise)
    assert math.isnan(history(tmp_path).noise)
    one_alone = history(tmp_path, evaluation(0, [None], FAILED), evaluation(1, [0.1, 0.5]))
    assert one_alone.noise == pytest.approx(math.sqrt(0.08))


@pytest.mark.parametrize(
    ("all_of_them", "expected"),
    [
        ([], False),
        ([FAILED] * 2, False),
        ([FAILED] * 3, True),
        ([COMPLETED, FAILED, FAILED, FAILED], True),
        ([FAILED, FAILED, COMPLETED, FAILED], False),
        ([FAILED, PRUNED, FAILED, FAILED], False),
        ([FAILED, FAILED, FAILED, COMPLETED], False),
    ],
)
def test_three_failures_in_a_row(tmp_path, all_of_them, expected):
    assert statuses(tmp_path, *all_of_them).keeps_failing is expected
