"""What scripts/sweep.py says and what it refuses."""

import re

import pytest

from scripts.sweep import main


def test_the_list_names_state_folder_and_command(write, sweep, tmp_path):
    said = sweep(write("grid: {seed: [0, 1]}"), "--list")
    assert said.code == 0
    first, second, last = said.out.splitlines()
    state, folder, command = first.split("\t")
    assert (state, command.split()[:2]) == ("pending", ["python", "train.py"])
    assert folder.startswith(str(tmp_path / "runs" / "classification" / "vgg-standard-s0-"))
    assert "seed=1" in second
    assert last == f"2 runs; {tmp_path / 'runs' / 'sweeps' / 'tiny' / 'manifest.csv'}"


def test_a_sweep_without_its_data_is_listed_and_not_run(sweep, tmp_path):
    nowhere = (f"paths.data_dir={tmp_path / 'nowhere'}", f"paths.output_dir={tmp_path / 'runs'}", "model=dncnn")
    said = sweep("density", *nowhere, "--list")
    assert said.code == 0
    assert said.out.splitlines()[-1] == "45 runs; data is missing, on which the names of 45 folders depend"
    assert not (tmp_path / "runs").exists()
    refused = sweep("density", *nowhere, "--local", 1)
    assert refused.code == 2
    assert "DIV2K_train_HR does not exist; run: python scripts/prepare_data.py div2k" in refused.err


def test_a_dry_run_shows_the_batch_file_and_changes_nothing(write, sweep, tmp_path):
    said = sweep(write("grid: {seed: [0, 1]}"), "cluster.max_running=3", "--dry-run")
    assert said.code == 0
    assert "#SBATCH --array=0-1%3" in said.out
    assert said.out.splitlines()[-2] == "tiny: 2 of 2 runs would be started; nothing was changed"
    assert not (tmp_path / "runs").exists()


def test_status_of_what_was_never_started(write, sweep):
    said = sweep(write("grid: {seed: [0, 1]}"), "--status")
    assert "tiny: 2 runs: 2 pending" in said.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("smoke",), "choose one of --list"),
        (("smoke", "--list", "--status"), "choose one of --list"),
        (("smoke", "--local", "0"), "at least one process"),
        (("smok", "--list"), "did you mean smoke?"),
        (("smoke", "sed=1", "--list"), "unknown key 'sed'"),
        (("smoke", "cluster=leonard", "--list"), "unknown choice cluster=leonard: did you mean 'leonardo'"),
        (("smoke", "--submit"), "there is no sbatch here"),
        (("smoke", "resources.walltime=long", "--submit"), "resources.walltime=long is no time"),
        (("smoke", "resources.walltime=00:00:00", "--submit"), "resources.walltime=00:00:00 is no time"),
        (("smoke", "cluster.warn_seconds=3600", "--submit"), "cluster.warn_seconds=3600: a run is told to save"),
        (
            ("smoke", "paths.output_dir=/proc/none", "--local", "1"),
            "/proc/none cannot be used (No such file",
        ),
    ],
)
def test_what_cannot_be_is_one_sentence_and_exit_code_2(sweep, tmp_path, arguments, message):
    name, *rest = arguments
    said = sweep(name, f"paths.output_dir={tmp_path}", *rest)
    assert said.code == 2
    assert message in said.err
    assert said.err.count("\n") == 1


def test_checked_on_a_machine_without_slurm(write, sweep):
    said = sweep(write("grid: {seed: [0]}"), "--check")
    assert said.code == 0, said.out
    assert "synthetic_classes: there and verified" in said.out
    assert "all that a run imports" in said.out
    assert "vgg: 1 runs, unknown" in said.out
    assert said.out.splitlines()[-1] == "tiny: ready to be submitted"


def test_a_check_goes_on_where_data_is_missing(sweep, tmp_path):
    """Somebody who has no data yet wants to know about the account and the environment all the same."""
    nowhere = (f"paths.data_dir={tmp_path / 'nowhere'}", f"paths.output_dir={tmp_path / 'runs'}")
    said = sweep("paper", *nowhere, "--check")
    assert said.code == 2
    (data,) = [line for line in said.out.splitlines() if line.startswith("data ")]
    assert "WRONG: cifar100: " in data
    assert "; div2k: " in data
    assert "all that a run imports" in said.out
    assert said.out.splitlines()[-1] == "paper: 1 of 4 checks failed"


def test_the_cost_is_told_by_finished_runs_of_the_same_work_alone(write, sweep):
    assert sweep(write("grid: {seed: [0]}"), "--local", "1").code == 0
    said = sweep(write("grid: {seed: [1], conv: [standard, weighted], optimizer.lr: [0.1]}"), "--check")
    assert re.search(r"vgg: 2 runs of 0\.\d\d h, 0\.\d core-hours \(from 1 finished runs on cpu", said.out)
    said = sweep(write("grid: {seed: [1], model.width: [0.1]}"), "--check")
    assert "vgg: 1 runs, unknown" in said.out


def test_without_a_name_the_sweeps_are_listed(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--list"])
    assert ended.value.code == 2
    assert re.search("name a sweep: ablation, .*, smoke, or the path of a sweep file", capsys.readouterr().err)


def test_a_sweep_is_no_choice_of_train(train):
    done = train("sweep=smoke")
    assert done.code == 2
    assert "python scripts/sweep.py smoke --local 2" in done.err


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ((), "hydra/launcher=leonardo' says where the runs of a grid go: add -m, or the run would start here"),
        (("-m",), "this machine has no SLURM"),
    ],
)
def test_the_launcher_of_hydra_needs_a_grid_and_a_cluster(train, sweep, tmp_path, option, message):
    done = train(*option, "hydra/launcher=leonardo")
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "runs").exists()
