"""The second way to a cluster, before SLURM is asked; with SLURM, it is tried in tests/slurm."""

import subprocess

import pytest

from wconv.experiment.sweep.slurm.launcher import job_setup


def test_a_batch_file_loads_modules_and_exports_variables(tmp_path):
    """A shell reads it, with a command `module` that notes what it is asked for."""
    setup = job_setup(["python/3.11.7", "cuda/12.2"], {"WANDB_MODE": "offline", "NOTE": "two ${words}"})
    assert "${" not in setup  # Hydra resolves it once more
    said = f"module() {{ echo module $*; }}\nSLURM_CPUS_PER_TASK=8\n{setup}\nenv"
    done = subprocess.run(["/bin/bash", "-c", said], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})
    lines = done.stdout.splitlines()
    assert lines[0] == "module load python/3.11.7 cuda/12.2"
    for variable in ("WANDB_MODE=offline", "NOTE=two ${words}", "SRUN_CPUS_PER_TASK=8", "OMP_NUM_THREADS=8"):
        assert variable in lines


def test_a_job_does_not_begin_without_its_modules():
    script = f"module() {{ false; }}\n{job_setup(['none/1'], {})}\necho begun"
    done = subprocess.run(["/bin/bash", "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")


def test_a_site_without_modules_and_variables_has_no_line_for_them():
    assert "module" not in job_setup([], {})
    assert "export \n" not in job_setup([], {}) + "\n"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.devices=2", "trainer.devices=2 on trainer.num_nodes=1: Hydra's launcher takes runs of one process"),
        ("trainer.num_nodes=2", "trainer.devices=1 on trainer.num_nodes=2: Hydra's launcher takes runs of one process"),
        ("trainer.devices=auto", "trainer.devices=auto on trainer.num_nodes=1: Hydra's launcher takes runs of one"),
        ("resources=gpu4", "use scripts/sweep.py for several"),
        ("trainer.devices=1,2", "the runs of a grid are one array and share trainer.devices: name one value"),
        ("resources.walltime=00:10:00,00:20:00", "share resources.walltime: name one value, or make two grids"),
        ("cluster.python=/usr/bin/python0", "Hydra's launcher starts the jobs with the interpreter that submits"),
    ],
)
def test_what_the_launcher_would_do_otherwise_is_refused(train, tmp_path, override, message):
    done = train("-m", "hydra/launcher=leonardo", "seed=0,1", override)
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
