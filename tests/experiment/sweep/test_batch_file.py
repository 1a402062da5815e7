"""Batch files: the templates of slurm/ filled in."""

import shutil
import subprocess
from pathlib import Path

import pytest

from wconv.experiment.sweep.load import load_sweep
from wconv.experiment.sweep.manifest import Sweep
from wconv.experiment.sweep.slurm.batch_file import PLACE, fill_template

ROOT = Path(__file__).resolve().parents[3]
SITE = Path("/leonardo_work/PROJECT/wconv")
PINNED = Path(__file__).with_name("leonardo.sbatch")
LEONARDO = (
    "model=vgg",
    "cluster=leonardo",
    "cluster.account=PROJECT",
    "cluster.python=/leonardo_work/PROJECT/venv/bin/python",
)


def filled(tmp_path: Path, *overrides: str, sweep: str = "density") -> str:
    """Return the batch file of a sweep as if it lay on the site."""
    made: Sweep = load_sweep(sweep, [*overrides, f"paths.output_dir={tmp_path}"], ROOT, refresh=True)
    return fill_template(made, made.folder / "launches" / "001", len(made.rows), SITE).replace(
        str(tmp_path), str(SITE / "runs")
    )


def options(text: str) -> list[str]:
    return [line.removeprefix("#SBATCH ") for line in text.splitlines() if line.startswith("#SBATCH ")]


def test_the_batch_file_for_leonardo_is_the_pinned_one(tmp_path):
    """After a wanted change: python tests/experiment/sweep/test_batch_file.py writes the file anew."""
    assert filled(tmp_path, *LEONARDO) == PINNED.read_text()


def test_leonardo_gets_its_share_of_a_node_for_each_gpu(tmp_path):
    text = filled(tmp_path, *LEONARDO, "resources.runs_at_once=4")
    assert {"--ntasks-per-node=4", "--cpus-per-task=8", "--gres=gpu:4", "--mem=480G"} <= set(options(text))
    assert "--array=0-11%32" in options(text)  # 45 runs, four a task
    assert "--gres=gpu:1 --mem=120G" in text
    assert "run_rows 4" in text


def test_runs_that_share_a_gpu_share_its_cores_and_memory_too(tmp_path):
    text = filled(tmp_path, *LEONARDO, "resources=gpu1", "resources.runs_per_gpu=3")
    assert {"--ntasks-per-node=1", "--cpus-per-task=8", "--gres=gpu:1", "--mem=120G"} <= set(options(text))
    assert "--array=0-14%32" in options(text)  # 45 runs, three a task
    assert "run_rows 3" in text
    before = text.split("SLURM_CPUS_PER_TASK")[0]  # which a job takes where nothing is said
    assert "OMP_NUM_THREADS=${OMP_NUM_THREADS:-2}" in before


def test_a_gpu_is_shared_by_no_more_runs_than_there_are(tmp_path):
    text = filled(tmp_path, "resources=gpu1", "resources.runs_per_gpu=16", sweep="smoke")
    assert "run_rows 4" in text
    assert "OMP_NUM_THREADS:-2" in text


def test_a_gpu_for_each_run_is_the_same_as_nothing_said(tmp_path):
    assert filled(tmp_path, *LEONARDO, "resources.runs_per_gpu=1") == filled(tmp_path, *LEONARDO)


def test_a_run_over_several_gpus_and_nodes_is_started_by_srun(tmp_path):
    text = filled(tmp_path, *LEONARDO, "resources=gpu4", "trainer.num_nodes=2")
    assert {"--nodes=2", "--ntasks-per-node=4", "--cpus-per-task=8", "--gres=gpu:4", "--mem=480G"} <= set(options(text))
    assert not any(option.startswith("--ntasks=") for option in options(text))


def test_more_runs_than_an_array_takes_share_tasks(tmp_path):
    assert "--array=0-22%32" in options(filled(tmp_path, *LEONARDO, "cluster.max_array_size=40"))


def test_one_run_is_a_job_without_an_array(tmp_path):
    text = filled(tmp_path, "seed=0", "conv=weighted", sweep="smoke")
    assert not any(option.startswith(("--array", "--account", "--gres")) for option in options(text))


def test_a_node_is_shared_by_no_more_runs_than_there_are(tmp_path):
    text = filled(tmp_path, "resources.runs_at_once=8", "resources=gpu1", sweep="smoke")
    assert {"--ntasks-per-node=4", "--gres=gpu:4", "--mem=480G"} <= set(options(text))


def test_names_with_blanks_and_signs_stay_whole(tmp_path):
    file = tmp_path / "my sweep.yaml"
    file.write_text("overrides: [experiment=quickstart]\ngrid: {seed: [0, 1]}\n")
    text = filled(tmp_path / "50%j", "cluster.account='a b'", sweep=str(file))
    assert "--job-name='wconv-my sweep'" in options(text)
    assert "--account='a b'" in options(text)
    (output,) = [option for option in options(text) if option.startswith("--output=")]
    assert output.endswith("/50%%j/sweeps/my sweep/launches/001/logs/job-%A_%a.log'")


def test_a_chain_is_not_requeued(tmp_path):
    text = filled(tmp_path, *LEONARDO, "cluster.restart=chain")
    assert "--no-requeue" in options(text)
    assert "restart=chain " in text


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("resources=gpu4", "resources.runs_at_once=4"), "resources.runs_at_once=4 is for runs of one process"),
        (("resources=gpu4", "resources.runs_per_gpu=2"), "it needs trainer.devices=1, not 4"),
        (("resources=gpu1", "trainer.num_nodes=2", "resources.runs_per_gpu=2"), "trainer.num_nodes=1, not 2"),
        (
            ("resources=cpu", "resources.runs_per_gpu=2"),
            "it needs resources.gpus=1, not 0",
        ),
        (("resources=gpu1", "resources.runs_at_once=4", "resources.runs_per_gpu=2"), "runs_at_once=1, not 4"),
        (("trainer.devices=auto",), "trainer.devices=auto: a cluster needs a number"),
        (("cluster.restart=never",), "cluster.restart=never: expected requeue or chain"),
    ],
)
def test_settings_that_do_not_go_together_are_named(tmp_path, overrides, message):
    with pytest.raises(ValueError, match=message):
        filled(tmp_path, *LEONARDO, *overrides)


KINDS = {
    "array": LEONARDO,
    "ddp": (*LEONARDO, "resources=gpu4"),
    "shared": (*LEONARDO, "resources=gpu1", "resources.runs_per_gpu=4"),
    "run": (*LEONARDO, "seed=0", "conv=standard", "cluster.restart=chain"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_shell_reads_it(tmp_path, kind):
    text = filled(tmp_path, *KINDS[kind], sweep="smoke" if kind == "run" else "density")
    assert not PLACE.findall(text)
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    checked = subprocess.run(["shellcheck", "-"], input=text, text=True, capture_output=True)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("script", sorted(ROOT.glob("slurm/*")), ids=lambda path: path.name)
def test_a_shell_reads_the_templates(script):
    subprocess.run(["bash", "-n", str(script)], check=True)


if __name__ == "__main__":
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        PINNED.write_text(filled(Path(folder), *LEONARDO))
