"""The second way to a cluster: Hydra's multirun through submitit."""

import json

import pytest

from tests.slurm.conftest import ROOT, SWEEP, run


def test_a_grid_is_an_array_and_a_failure_is_told(tmp_path):
    """One run of two diverges; the other is completed, and the command says which sentence ended the first."""
    done = run(
        SWEEP[0],
        ROOT / "train.py",
        "-m",
        "hydra/launcher=leonardo",
        "cluster.account=MYACC",
        "experiment=quickstart",
        "datamodule.train_images=600",
        "datamodule.test_images=100",
        "trainer.max_epochs=1",
        "trainer.accelerator=cpu",
        "resources.walltime=00:10:00",
        f"paths.output_dir={tmp_path}",
        "optimizer.lr=0.1,1e30",
    )
    assert done.returncode == 1
    assert any(line.startswith("train.py: the loss is NaN or infinite") for line in done.stderr.splitlines())
    assert "Traceback" not in done.stderr
    assert f"python scripts/compare.py {tmp_path}" in done.stdout
    found = [json.loads(path.read_text()) for path in tmp_path.glob("*/*/results.json")]
    assert sorted(results["status"] for results in found) == ["completed", "failed"]
    assert all(results["slurm"]["SLURM_JOB_PARTITION"] == "boost_usr_prod" for results in found)
    batch = next(tmp_path.glob("submitit/*/*_submission.sh")).read_text()
    for option in ("--account=MYACC", "--time=00:10:00", "--array=0-1%2", "--job-name=wconv", "--signal=USR2@300"):
        assert f"#SBATCH {option}\n" in batch
    before = batch[: batch.index("\nsrun ")].splitlines()
    assert "if command -v module >/dev/null; then module load python/3.11.7 cuda/12.2 || exit 1; fi" in before
    assert "export WANDB_MODE=offline" in before


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("cluster.account=NOBODY", "cluster.account=NOBODY is none that you may use"),
        ("resources.walltime=30:00:00", "resources.walltime=30:00:00 is longer than cluster.partition=boost_usr_prod"),
        ("resources.gpus=8", "no node of cluster.partition=boost_usr_prod has what a job asks for"),
    ],
)
def test_what_slurm_would_refuse_is_one_sentence(tmp_path, override, message):
    line = ["-m", "hydra/launcher=leonardo", "experiment=quickstart", "resources=gpu1", f"paths.output_dir={tmp_path}"]
    done = run(SWEEP[0], ROOT / "train.py", *line, "seed=0,1", override)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
