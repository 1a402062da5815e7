"""A sweep's file names the overrides of every run."""

from pathlib import Path

import pytest

from wconv.experiment.sweep.sweep_file import format_override, read_sweep_file

SWEEPS = Path(__file__).resolve().parents[3] / "configs" / "sweep"


def lines(tmp_path: Path, text: str, *more: str) -> list[list[str]]:
    file = tmp_path / "some.yaml"
    file.write_text(text)
    return read_sweep_file(str(file), tmp_path).lines(more)


def test_a_grid_is_every_combination(tmp_path):
    found = lines(tmp_path, "grid: {conv: [standard, weighted], seed: [0, 1]}")
    assert found == [[f"conv={conv}", f"seed={seed}"] for conv in ("standard", "weighted") for seed in (0, 1)]


def test_each_named_run_meets_the_grid_and_what_holds_for_all(tmp_path):
    text = """
    overrides: [model=resnet]
    runs: [[conv=standard], [conv=weighted, "conv.density.k3=[0.5]"]]
    grid: {seed: [3]}
    """
    assert lines(tmp_path, text) == [
        ["model=resnet", "conv=standard", "seed=3"],
        ["model=resnet", "conv=weighted", "conv.density.k3=[0.5]", "seed=3"],
    ]


def test_all_named_runs_of_a_cell_come_before_those_of_the_next(tmp_path):
    """So that a sweep that is cut short has all arms of the seeds that it has."""
    found = lines(tmp_path, "runs: [[conv=standard], [conv=weighted]]\ngrid: {seed: [0, 1]}")
    assert found == [[f"conv={conv}", f"seed={seed}"] for seed in (0, 1) for conv in ("standard", "weighted")]


def test_the_command_line_wins_and_makes_no_run_twice(tmp_path):
    text = "overrides: [model=resnet]\ngrid: {seed: [0, 1], conv: [standard, weighted]}"
    assert lines(tmp_path, text, "seed=7", "model=vgg") == [
        ["model=vgg", "seed=7", "conv=standard"],
        ["model=vgg", "seed=7", "conv=weighted"],
    ]


def test_a_sweep_without_a_grid_is_one_run(tmp_path):
    assert lines(tmp_path, "overrides: [seed=1]") == [["seed=1"]]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), (True, "true"), (0.5, "0.5"), ([0.2, 0.8], "[0.2,0.8]")],
)
def test_values_are_written_as_hydra_reads_them(value, text):
    assert format_override(value) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("grids: {seed: [0]}", "'grids' is none of overrides, grid, runs"),
        ("[1, 2]", r"\[1, 2\] is none of"),
        ("overrides: seed=1", "should be a list of overrides"),
        ("runs: [seed=1]", "runs: 'seed=1' should be a list of overrides"),
        ("runs: 5", "runs: 5 should be a list of runs"),
        ("runs: {seed: 0}", "runs: {'seed': 0} should be a list of runs, each a list"),
        ("grid: [seed=0]", r"grid: \['seed=0'\] should be keys with their values"),
        ("grid: seed", "grid: 'seed' should be keys with their values"),
        ("grid: {conv: [standard], seed: []}", "grid: seed names no value at all"),
        ("grid: {seed: [0", "is not YAML"),
        ("grid: {paths.output_dir: [a, b]}", "paths.output_dir belongs in overrides, not in runs or grid"),
        ("runs: [[seed=0, paths.output_dir=a]]", "paths.output_dir belongs in overrides"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(tmp_path, text, message):
    with pytest.raises(ValueError, match=f"some.yaml.*{message}"):
        lines(tmp_path, text)


def test_a_file_of_another_encoding_is_named(tmp_path):
    file = tmp_path / "some.yaml"
    file.write_bytes("overrides: [seed=1] # größer".encode("latin-1"))
    with pytest.raises(ValueError, match=r"some\.yaml is not UTF-8: save it as such \(.* at byte 24\)"):
        read_sweep_file(str(file), tmp_path)


@pytest.mark.parametrize("text", ["runs: []\noverrides: [seed=1]", "runs:\ngrid:\noverrides: [seed=1]"])
def test_no_runs_named_are_one_run(tmp_path, text):
    assert lines(tmp_path, text) == [["seed=1"]]


def test_an_unknown_sweep_names_the_nearest():
    with pytest.raises(ValueError, match=r"'smok': did you mean smoke\? .* has ablation, .*density, .*paper, .*smoke"):
        read_sweep_file("smok", SWEEPS)


def test_the_paper_is_every_backbone_with_every_arm_and_five_seeds():
    found = read_sweep_file("paper", SWEEPS).lines()
    assert len(found) == len({tuple(line) for line in found}) == 4 * 4 * 2 * 5
