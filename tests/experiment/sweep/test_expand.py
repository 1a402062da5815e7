"""A run of a sweep lies in the folder that train.py would choose for it."""

import time
from pathlib import Path

import pytest

from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.sweep.load import load_sweep
from wconv.experiment.sweep.manifest import Settings, Sweep, read_sweep

ROOT = Path(__file__).resolve().parents[3]


def test_train_finds_the_same_folder(write, train):
    """Groups, plain values, interpolated ones and a density, some of which only single runs have."""
    file = write(
        """
runs:
  - [conv=weighted, "conv.density.k3=[0.5]", trainer.max_epochs=1]
  - [conv=standard, optimizer=adam, optimizer.lr=1.0e-3, trainer.max_epochs=1]
grid:
  seed: [3]
"""
    )
    rows = load_sweep(str(file), [], ROOT, refresh=True).rows
    assert len({row.directory for row in rows}) == 2
    for row in rows:
        done = train(*row.overrides)
        assert done.code == 0, done.err
        assert done.directory == row.directory
        assert row.epochs == 1


def test_what_one_run_sets_another_does_not_inherit(write):
    """Both are composed once; the second says nothing about the rate, the third nothing about k5."""
    one = 'runs: [[seed=0, optimizer.lr=0.2], [seed=0], [conv=weighted, "conv.density.k5=[0.3, 1]"], [conv=weighted]]'
    together = load_sweep(str(write(one)), [], ROOT, refresh=True).rows
    alone = [
        load_sweep(str(write(f"runs: [[{run}]]")), [], ROOT, refresh=True).rows[0]
        for run in ("seed=0", "conv=weighted")
    ]
    assert [together[1].directory, together[3].directory] == [row.directory for row in alone]


def test_densities_of_single_layers_take_the_place_of_those_of_the_run_before(write):
    runs = [f"[conv=weighted, 'conv.layer_density={{features.{layer}:[0.5]}}']" for layer in (0, 4)]
    together = load_sweep(str(write(f"runs: [{', '.join(runs)}]")), [], ROOT, refresh=True).rows
    alone = [load_sweep(str(write(f"runs: [{run}]")), [], ROOT, refresh=True).rows[0] for run in runs]
    assert [row.directory for row in together] == [row.directory for row in alone]


def test_an_experiment_gives_its_folder_up_for_that_of_the_sweep(tmp_path):
    file = tmp_path / "small.yaml"
    file.write_text("overrides: [experiment=quickstart]\ngrid: {seed: [0]}")
    sweep = load_sweep(str(file), [f"paths.output_dir={tmp_path / 'here'}"], ROOT, refresh=True)
    assert sweep.folder == tmp_path / "here" / "sweeps" / "small"
    assert sweep.rows[0].directory.parent == tmp_path / "here" / "classification"


@pytest.mark.parametrize("place", ["file", "line"])
def test_a_variable_of_the_environment_is_one_folder_for_manifest_and_runs(write, train, tmp_path, monkeypatch, place):
    monkeypatch.setenv("MYWORK", str(tmp_path / "work"))
    overrides = ("trainer.max_epochs=1", "paths.output_dir='${oc.env:MYWORK}/runs'")
    file = write("", overrides=overrides if place == "file" else overrides[:1])
    sweep = load_sweep(str(file), list(overrides[1:]) if place == "line" else [], ROOT, refresh=True)
    assert sweep.folder == tmp_path / "work" / "runs" / "sweeps" / "tiny"
    (row,) = sweep.rows
    done = train(*row.overrides)
    assert done.code == 0, done.err
    assert done.directory == row.directory
    assert row.directory.parent == tmp_path / "work" / "runs" / "classification"


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("${oc.env:NOWHERE}/runs", "output_dir=.*NOWHERE}/runs: .*Environment variable 'NOWHERE' not found"),
        ("${oc.env:MY_TOKEN}/runs", "MY_TOKEN} would write a secret into config.yaml"),
        ("${oc.env:MYWORK", "output_dir=.*MYWORK: missing BRACE_CLOSE"),
        ("${model.name}/runs", r"a sweep has one folder; the only interpolation in its name may be \${oc.env:NAME}"),
        ("${oc.env:MYWORK}/${seed}", "a sweep has one folder"),
        ("${oc.env:ODD}/runs", "a folder with '\\${' in its name"),
        ("it's", 'a folder with "\'" in its name'),
        ("back\\slash", "in its name; choose another"),
        ("two\nlines", "in its name; choose another"),
    ],
)
def test_a_folder_that_the_runs_could_not_read_is_refused(write, tmp_path, monkeypatch, folder, message):
    monkeypatch.chdir(tmp_path)
    for name, value in (("MYWORK", "work"), ("MY_TOKEN", "abc"), ("ODD", "${model.name}")):
        monkeypatch.setenv(name, value)
    with pytest.raises((ValueError, ConfigError), match=message) as caught:
        load_sweep(str(write("")), [f"paths.output_dir={folder}"], ROOT, refresh=True)
    assert "abc" not in str(caught.value)


def test_train_reads_a_folder_of_a_strange_name(write, train, tmp_path):
    folder = tmp_path / 'a "strange", {one} [of] $HOME=%j; ü'
    file = write("", overrides=("trainer.max_epochs=1",))
    (row,) = load_sweep(str(file), [f"paths.output_dir={folder}"], ROOT, refresh=True).rows
    done = train(*row.overrides)
    assert done.code == 0, done.err
    assert done.directory == row.directory
    assert folder in row.directory.parents


def test_a_manifest_is_read_back_until_the_sweep_or_the_configuration_changes(write):
    file = write("grid: {seed: [0, 1]}")
    sweep = load_sweep(str(file), [], ROOT, refresh=True)
    sweep.write()
    assert load_sweep(str(file), [], ROOT, refresh=False) == sweep
    lines = (sweep.folder / "manifest.csv").read_text().splitlines()
    assert len(lines) == 3
    assert lines[1].startswith(f"{sweep.rows[0].directory},vgg,2,python train.py ")
    write("grid: {seed: [0, 1, 2]}")
    assert len(load_sweep(str(file), [], ROOT, refresh=False).rows) == 3


@pytest.mark.parametrize(
    "settings",
    ["[]", "3", '"key"', "null", '{"key": KEY}', '{"key": KEY, "settings": []}', '{"key": KEY, "settings": {}}', "{"],
)
def test_a_manifest_of_another_shape_is_none(tmp_path, settings):
    (tmp_path / "manifest.csv").write_text("directory,model,epochs,command\n")
    (tmp_path / "settings.json").write_text(settings.replace("KEY", '"abc"'))
    assert read_sweep("some", tmp_path, "abc") is None


def test_a_table_that_is_no_manifest_is_none(tmp_path):
    values = {"cluster": {"name": "local"}, "resources": {"name": "cpu"}, "trainer.accelerator": "cpu"}
    Sweep("some", tmp_path, [], Settings(values | {"trainer.devices": 1, "trainer.num_nodes": 1}), "abc").write()
    assert read_sweep("some", tmp_path, "abc") is not None
    for content in (b"\n1,2\n", b"\n\xff\n", b"\n" + b"x" * 200_000 + b",vgg,1,true\n"):
        (tmp_path / "manifest.csv").write_bytes(content)
        assert read_sweep("some", tmp_path, "abc") is None


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ("grid: {sead: [0]}", "unknown key 'sead'.*: did you mean 'seed'"),
        ("grid: {conv: [weigted]}", "unknown choice conv=weigted: did you mean 'weighted'"),
        ("grid: {seed: [1.5]}", "seed=1.5: expected a whole number"),
        ("grid: {seed: [-1]}", "seed=-1: expected"),
        ("grid: {model: [dncnn]}", "is for classification"),
        ('runs: [["seed=0,1"]]', "several values go into its grid"),
        ("grid: {force: [true]}", "force=true in a sweep"),
        ("grid: {resources: [cpu, gpu1]}", "share resources"),
        ("grid: {resources.runs_at_once: [0]}", "resources.runs_at_once=0: expected a whole number from 1"),
        ("grid: {resources.runs_per_gpu: [0]}", "resources.runs_per_gpu=0: expected a whole number from 1, or null"),
        ("grid: {task.name: [other]}", "task.name follows from"),
    ],
)
def test_what_train_would_refuse_is_refused(write, grid, message):
    with pytest.raises(ConfigError, match=message):
        load_sweep(str(write(grid)), [], ROOT, refresh=True)


@pytest.mark.faults  # for its length
def test_two_thousand_runs_expand_within_twelve_seconds(write):
    densities = ", ".join(f"[{number / 100}]" for number in range(20))
    axes = "model: [vgg, resnet], conv: [weighted, trainable], seed: [0, 1, 2, 3, 4], optimizer.lr: [1, 2, 3, 4, 5]"
    file = write(f"grid: {{{axes}, conv.density.k3: [{densities}]}}", overrides=("model.depth=20",))
    file.write_text(file.read_text().replace("  - model.depth=20\n", "").replace("  - model.depth=11\n", ""))
    start = time.process_time()  # what else runs on the machine does not count
    rows = load_sweep(str(file), [], ROOT, refresh=True).rows
    assert len(rows) == 2_000
    assert time.process_time() - start < 12
