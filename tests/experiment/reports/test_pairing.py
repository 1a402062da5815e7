"""Which rows are compared, and which are not, and why."""

import pytest

from wconv.experiment.reports.comparison import Comparison
from wconv.experiment.reports.effects import Effects
from wconv.experiment.reports.notes import notes
from wconv.experiment.reports.pairing import choose_reference, pair

ACC = [0.70, 0.71, 0.69]


def effects(rows, against=(), by="", best_of=""):
    comparison = Comparison([run for row in rows for run in row], best_of)
    return Effects(comparison, choose_reference(comparison, against, by))


def pairs(rows, *against, by="") -> dict[str, str]:
    """Return for each compared row its reference, or why it has none, both by the learning rate and the arm."""
    comparison = Comparison([run for row in rows for run in row])

    def name(group):
        return f"{group.features['conv']} {group.features.get('optimizer.lr', '')}".strip()

    found = pair(comparison, choose_reference(comparison, against, by))
    return {name(p.group): name(p.reference) if p.reference else p.refusal for p in found}


def test_standard_is_the_reference_where_there_is_one(make_row) -> None:
    rows = [
        make_row("standard", ACC),
        make_row("weighted", ACC, density="k3 0.7"),
        make_row("trainable", ACC, parameters=120),
    ]
    assert pairs(rows) == {"weighted": "standard", "trainable": "standard"}
    assert choose_reference(Comparison(make_row("weighted", ACC))) is None
    assert choose_reference(Comparison(make_row("standard", ACC))) is None


def test_rows_that_differ_in_more_than_the_arm_are_not_paired(make_row) -> None:
    rows = [
        make_row("standard", ACC, optimizer__lr=0.1),
        make_row("weighted", ACC, optimizer__lr=0.1, conv__share=True),
        make_row("weighted", ACC, optimizer__lr=0.2, optimizer="adam"),
    ]
    found = pairs(rows)
    assert found["weighted 0.1"] == "standard 0.1"
    assert found["weighted 0.2"] == (
        "it differs from the nearest row of conv=standard in more than the compared factor: "
        "optimizer.lr (0.2 and 0.1), optimizer (adam and none)"
    )


@pytest.mark.parametrize("key", ["data", "device", "model.depth", "trainer.max_epochs"])
def test_whatever_else_differs_forbids_a_pair(make_row, key) -> None:
    rows = [make_row("standard", ACC, **{key: "a"}), make_row("weighted", ACC, **{key: "b"})]
    assert f"{key} (b and a)" in pairs(rows)["weighted"]


def test_a_key_that_was_added_since_with_a_neutral_value_forbids_none(make_row) -> None:
    rows = [make_row("standard", ACC), make_row("weighted", ACC, model__dropout=0.0, model__checkpoint="null")]
    assert pairs(rows) == {"weighted": "standard"}


def test_any_key_by_its_dotted_name_or_its_heading(make_row) -> None:
    rows = [make_row(arm, ACC, optimizer__lr=lr) for arm in ("standard", "weighted") for lr in (0.1, 0.2)]
    expected = {"standard 0.2": "standard 0.1", "weighted 0.2": "weighted 0.1"}
    for options in ({"by": "optimizer.lr"}, {"by": "lr"}):
        assert pairs(rows, **options) == expected
    assert pairs(rows, "optimizer.lr=0.10") == expected
    assert pairs(rows, "lr=0.2") == {"standard 0.1": "standard 0.2", "weighted 0.1": "weighted 0.2"}


def test_densities_against_standard_or_among_themselves(make_row) -> None:
    densities = [make_row("weighted", ACC, density=f"k3 {value}") for value in (0.5, 0.7, 0.9)]
    with_standard = effects([make_row("standard", ACC), *densities], by="density")
    assert [str(row.name) for row in with_standard.rows] == ["weighted, k3 0.5", "weighted, k3 0.7", "weighted, k3 0.9"]
    assert all(row.judged for row in with_standard.rows)
    among = effects(densities, by="density")
    assert str(among.reference) == "density=k3 0.5"
    assert [str(row.name) for row in among.rows] == ["k3 0.7", "k3 0.9"]
    assert str(effects(densities, ["density=k3 0.9"]).rows[0].name) == "k3 0.5"


def test_a_density_with_commas_stands_in_brackets(make_row) -> None:
    densities = ["k7 0.9, 0.9, 0.9", "k7 0.25, 0.15, 0.55"]
    rows = [make_row("weighted", ACC, density=each, model__kernel_size=7) for each in densities]
    rows += [make_row("standard", ACC, model__kernel_size=size) for size in (3, 7)]
    names = [str(row.name) for row in effects(rows, ["conv=standard", "model.kernel_size=3"]).rows]
    assert "weighted (k7 0.25, 0.15, 0.55), kernel_size 7" in names, names


def test_several_references_for_one_row_are_refused(make_row) -> None:
    rows = [make_row("standard", ACC), *(make_row("weighted", ACC, density=f"k3 {value}") for value in (0.5, 0.7))]
    assert "2 rows are conv=weighted; give --against a second time" in pairs(rows, "conv=weighted")["standard"]
    assert pairs(rows, "conv=weighted", "density=k3 0.7")["standard"] == "weighted"


def test_an_ablation_with_all_parts_off_is_no_second_reference(make_row) -> None:
    rows = [
        make_row("standard", ACC),
        make_row("standard", ACC, density="k3 0.7"),
        make_row("step", ACC, density="k3 0.7"),
    ]
    assert pairs(rows) == {"step": "standard"}


def test_rows_are_named_as_short_as_tells_them_apart(make_row) -> None:
    settings = ({"init": "kaiming", "optimizer__lr": 0.1}, {"init": "pytorch", "optimizer__lr": 0.2})
    rows = [make_row(arm, ACC, **some) for some in settings for arm in ("standard", "weighted", "start + decay")]
    names = [str(row.name) for row in effects(rows).rows]
    assert names == [f"{init}: {arm}" for init in ("kaiming", "pytorch") for arm in ("weighted", "start + decay")]


@pytest.mark.parametrize(
    ("against", "by", "message"),
    [
        (["conv"], "", "--against conv: write KEY=VALUE"),
        (["conv=standrd"], "", "conv=standrd: no run is that; conv is standard, weighted"),
        (["con=standard"], "", "no run has a key con; did you mean conv"),
        ([], "inti", "no run has a key inti; did you mean init"),
        (["init=kaiming"], "", "every run is that, and there is nothing to compare"),
        ([], "init", "--by init: every run has init=kaiming"),
    ],
)
def test_what_no_run_has(make_row, against, by, message) -> None:
    comparison = Comparison([*make_row("standard", ACC), *make_row("weighted", ACC)])
    with pytest.raises(ValueError, match=message):
        choose_reference(comparison, against, by)


def test_the_best_rate_is_chosen_on_the_validation_metric_and_said_to_be(make_row) -> None:
    rows = [
        make_row("standard", [0.60, 0.61], val=0.5, optimizer__lr=0.1),
        make_row("standard", [0.90, 0.91], val=0.4, optimizer__lr=0.2),  # better on the test set only
        make_row("weighted", [0.62, 0.64], val=0.3, optimizer__lr=0.1),
        make_row("weighted", [0.66, 0.66], val=0.6, optimizer__lr=0.2),
    ]
    found = effects(rows, best_of="optimizer.lr")
    (row,) = found.rows
    assert (row.pairing.reference.features["optimizer.lr"], row.pairing.group.features["optimizer.lr"]) == (0.1, 0.2)
    assert row.judged.test.mean == pytest.approx(5.5)
    comparison = Comparison([run for row in rows for run in row], "lr")
    assert comparison.table["lr (best on val/acc)"].tolist() == [0.1, 0.2]
    assert notes(comparison)[1] == (
        "standard: optimizer.lr 0.1 is the best of 0.1 (50.00), 0.2 (40.00) by mean val acc (%) over seeds 0, 1."
    )


def test_rates_are_compared_on_the_seeds_they_share_and_a_diverged_one_is_last(make_row) -> None:
    def row(lr, values, seeds):
        runs = [
            make_row("standard", [0.5], seeds=[s], val=v, optimizer__lr=lr)[0]
            for s, v in zip(seeds, values, strict=True)
        ]
        return runs

    rows = [
        row(0.1, [0.50, 0.9], [0, 1]),  # seed 1 is lucky, and the other rate does not have it
        row(0.2, [0.55], [0]),
        [*row(0.4, [0.7], [0]), *make_row("standard", [float("nan")], seeds=[1], val=0.9, optimizer__lr=0.4)],
    ]
    comparison = Comparison([run for some in rows for run in some], "lr")
    assert [group.features["optimizer.lr"] for group in comparison.groups] == [0.2]
    text = notes(comparison)
    assert "0.1 (50.00), 0.2 (55.00), 0.4 (70.00, 1 diverged) by mean val acc (%) over seeds 0." in text[1]
    assert any(note.startswith("Diverged, in no mean: standard-s1 (seed 1)") for note in text)


def test_rates_that_differ_between_the_rows_are_pointed_out(make_row) -> None:
    rows = [make_row("standard", ACC, val=0.5, optimizer__lr=0.1)]
    rows += [make_row("weighted", ACC, val=0.5, optimizer__lr=lr) for lr in (0.1, 0.2)]
    comparison = Comparison([run for row in rows for run in row], "lr")
    assert any("did not have the same values to choose from" in note for note in notes(comparison))


def test_a_choice_without_a_validation_metric_is_refused(make_row) -> None:
    with pytest.raises(ValueError, match="chooses by val/acc or val/psnr, which no run has"):
        Comparison(make_row("standard", ACC, optimizer__lr=0.1), "optimizer.lr")
