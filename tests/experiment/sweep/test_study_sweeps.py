"""The sweeps of the study expand to the runs that docs/findings.md names, and what they share is trained once."""

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from wconv.experiment.runs.arm_styles import ARMS, arm_name
from wconv.experiment.sweep.load import load_sweep
from wconv.experiment.sweep.manifest import Sweep

ROOT = Path(__file__).resolve().parents[3]
RUNS = {
    "headline": 120,  # Q1: (VGG 5 and 30 epochs, with and without batch norm, and ResNet) x 3 arms x 8 seeds
    "ablation": 80,  # Q2, with batch norm: 10 arms x 8 seeds
    "ablation_plain": 50,  # Q2, without: 10 arms x 5 seeds
    "decay": 96,  # Q2b: 3 arms x 4 weight decays x 8 seeds
    "rates": 45,  # Q3: 3 arms x 5 rates x 3 seeds
    "denoise_early": 100,  # Q4: 10 arms x 2 initialisations x 5 seeds
    "denoise_long": 18,  # Q5: 3 arms x 2 networks x 3 seeds
    "kernels": 150,  # Q6: 3 arms x 5 (sizes, weight decays) x 2 numbers of images x 5 seeds
    "kernels_parts": 30,  # Q6b: 10 arms x 3 seeds
    "kernels_rates": 54,  # Q6b: 3 arms x 6 rates x 3 seeds
    "precision": 48,  # fast=true beside float32: 3 networks x 2 precisions x 8 seeds
}
PAIRS = ["start + step", "start + decay", "step + decay"]
TEN = sorted(["standard", "scaled_init", "step", "decay", *PAIRS, "weighted", "scale", "shape"])


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory) -> dict[str, Sweep]:
    """Expand all sweeps where there is no data: folders are then told apart by the configurations alone."""
    nowhere = [f"paths.data_dir={tmp_path_factory.mktemp('data')}"]
    return {name: load_sweep(name, nowhere, ROOT, refresh=True, without_data=True) for name in RUNS}


def arms(sweep: Sweep) -> Counter[str]:
    """Count the runs of each arm by the name that tables give it."""
    found: Counter[str] = Counter()
    for row in sweep.rows:
        chosen = dict(entry.split("=", 1) for entry in row.overrides)
        conv = {"name": chosen["conv"]}
        if chosen["conv"] == "ablation":
            conv |= {"start": chosen.get("conv.start", "none")}
            conv |= {part: chosen.get(f"conv.{part}") == "true" for part in ("step", "decay")}
        found[arm_name(conv)] += 1
    return found


@pytest.mark.parametrize("name", RUNS)
def test_a_sweep_has_the_runs_of_its_question(name, sweeps):
    sweep = sweeps[name]
    assert len(sweep.rows) == RUNS[name]
    results = "precision" if name == "precision" else "study"
    assert sweep.folder == ROOT / "results" / results / "runs" / "sweeps" / name
    assert all("experiment=official/study_" in row.arguments for row in sweep.rows)
    assert f"{RUNS[name]} runs" in (ROOT / "configs" / "sweep" / f"{name}.yaml").read_text()


@pytest.mark.parametrize("name", ["ablation", "ablation_plain", "denoise_early", "kernels_parts"])
def test_the_ablations_have_ten_arms_alike(name, sweeps):
    found = arms(sweeps[name])
    assert sorted(found) == TEN
    assert set(found.values()) == {RUNS[name] // 10}
    assert set(found) <= {arm.name for arm in ARMS}


@pytest.mark.parametrize("name", RUNS)
def test_all_arms_of_a_seed_come_before_the_next_seed(name, sweeps):
    seeds = [next(entry for entry in row.overrides if entry.startswith("seed=")) for row in sweeps[name].rows]
    assert seeds == sorted(seeds)


def test_what_sweeps_share_is_trained_once(sweeps):
    """Of CIFAR-100 it is known which data it is without its files."""
    folders = {name: {row.directory for row in sweeps[name].rows} for name in RUNS if not name.startswith("denoise")}
    shared = {name: len(folders[name] & folders["ablation"]) for name in ("decay", "rates", "kernels")}
    assert shared == {"decay": 24, "rates": 9, "kernels": 15}
    shared["kernels_parts"] = len(folders["kernels_parts"] & folders["kernels"])
    shared["kernels_rates"] = len(folders["kernels_rates"] & (folders["kernels"] | folders["kernels_parts"]))
    assert shared["kernels_parts"] == 9
    assert shared["kernels_rates"] == 9
    assert len(set().union(*folders.values())) == sum(map(len, folders.values())) - sum(shared.values())


def test_what_is_committed_of_a_run_says_that_it_is_done(write, sweep, train, tmp_path):
    """On another machine a sweep goes on with what is left; of the study, Git takes these three files and no more."""
    file = write("grid: {seed: [0, 1]}")
    done = train("seed=1", f"paths.output_dir={tmp_path / 'runs'}")
    kept = ("config.yaml", "metrics.csv", "results.json")
    elsewhere = tmp_path / "elsewhere" / "runs" / "classification" / done.directory.name
    elsewhere.mkdir(parents=True)
    for name in kept:
        shutil.copy(done.directory / name, elsewhere)
    listed = sweep(file, f"paths.output_dir={tmp_path / 'elsewhere' / 'runs'}", "--list").out.splitlines()
    assert [line.split("\t")[0] for line in listed[:-1]] == ["pending", "done"]


def test_git_takes_of_a_committed_run_what_tables_are_made_of():
    run = "results/study/runs/classification/vgg-standard-s0-00000000"
    taken = ["config.yaml", "metrics.csv", "results.json", "images.csv"]
    files = [*taken, "timing.csv", "checkpoints/best.ckpt", "images/curves.png", ".lock", "wandb_id"]
    ignored = subprocess.run(
        ["git", "check-ignore", *(f"{run}/{name}" for name in files)], cwd=ROOT, capture_output=True, text=True
    )
    if ignored.returncode == 128:
        pytest.skip("this is no checkout")
    assert ignored.stdout.splitlines() == [f"{run}/{name}" for name in files if name not in taken]
