"""Sweeps on a real SLURM of one node: as arrays, cancelled, retried, and refused."""

import shutil
import subprocess
import sys
import time

import pytest

from tests.slurm.conftest import ROOT, SWEEP, ClusterSweep, run, wait_until
from wconv.experiment.sweep.slurm import commands as slurm


def test_smoke_as_an_array_gives_the_table(tmp_path):
    """Two tasks at a time; then compare.py, and nothing is left to do."""
    sweep = ClusterSweep("smoke", tmp_path, "cluster.max_running=2")
    assert "submitted 4 runs" in sweep.call("--submit")
    assert sweep.most_at_once(300) == 2
    assert "smoke: 4 runs: 4 done" in sweep.call("--status")
    table = run(sys.executable, ROOT / "scripts" / "compare.py", tmp_path).stdout
    assert [line.split("|")[2].strip() for line in table.splitlines()[2:4]] == ["standard", "weighted"]
    assert "nothing to start: 4 done" in sweep.call("--submit")
    grown = ClusterSweep("smoke", tmp_path, "seed=2", "conv=weighted", "trainer.max_epochs=500")
    assert "submitted 1 runs" in grown.call("--submit")
    assert "nothing to start: 1 " in grown.call("--submit")  # it waits or runs
    assert len(grown.jobs) == 2
    assert grown.jobs[1] in grown.call("--cancel")
    wait_until(lambda: not grown.at_work)


def test_a_task_that_scancel_killed_is_retried(tmp_path):
    sweep = ClusterSweep("smoke", tmp_path, "seed=0", "trainer.max_epochs=8")
    sweep.call("--submit")
    sweep.until_epoch()
    task = f"{sweep.jobs[0]}_0"
    run("scancel", task)
    wait_until(lambda: not run("squeue", "--noheader", "--array", f"--jobs={task}").stdout)
    sweep.until_over()
    status = sweep.call("--status")
    assert "smoke: 2 runs: 1 done" in status
    assert "1 stopped" in status
    assert "submitted 1 runs" in sweep.call("--retry", "failed")
    sweep.until_over()
    assert "smoke: 2 runs: 2 done" in sweep.call("--status")
    assert "resuming from step" in sweep.logs()


def test_a_run_that_fails_does_not_take_the_others_of_its_task_with_it(tmp_path):
    file = tmp_path / "mixed.yaml"
    file.write_text(
        "overrides: [experiment=quickstart, datamodule.train_images=400, datamodule.test_images=100, "
        "trainer.max_epochs=1, cluster.max_array_size=1]\n"
        "runs: [[optimizer.lr=1.0e30], [optimizer.lr=0.1]]\n"
    )
    sweep = ClusterSweep(file, tmp_path / "runs")
    assert "of 1 tasks" in sweep.call("--submit")
    sweep.until_over()
    status = sweep.call("--status")
    assert "mixed: 2 runs: 1 done, 1 failed" in status
    assert "the loss is" in status
    assert "nothing to start: 1 done, 1 failed; --retry failed" in sweep.call("--submit")


def test_cancel_ends_the_chain_first(tmp_path):
    sweep = ClusterSweep(
        "smoke", tmp_path, "seed=0", "trainer.max_epochs=20", "cluster.restart=chain", "cluster.max_running=1"
    )
    sweep.call("--submit")
    sweep.until_epoch()
    assert f"cancelled {sweep.jobs[0]}" in sweep.call("--cancel")
    wait_until(lambda: not sweep.at_work)
    time.sleep(3)
    assert len(sweep.jobs) == 1
    assert not sweep.at_work
    assert "2 stopped" in sweep.call("--status")
    wait_until(lambda: "its job ended (CANCELLED) before it began" in sweep.call("--status"))  # accounts lag behind
    assert "no job is at work" in sweep.call("--cancel")


def test_a_chain_keeps_to_the_number_of_tasks_that_may_run(tmp_path):
    more = ("trainer.max_epochs=8", "cluster.restart=chain", "cluster.max_running=1")
    sweep = ClusterSweep("smoke", tmp_path, "conv=weighted", *more)
    sweep.call("--submit")
    sweep.until_epoch()
    run("scancel", "--signal=USR1", "--batch", f"{sweep.jobs[0]}_0")
    assert sweep.most_at_once(300) == 1
    assert "2 done" in sweep.call("--status"), sweep.logs()
    assert len(sweep.jobs) == 2
    assert "resuming from step" in sweep.logs()


def test_a_task_that_was_stopped_is_in_no_later_link(tmp_path):
    sweep = ClusterSweep("smoke", tmp_path, "conv=weighted", "trainer.max_epochs=24", "cluster.restart=chain")
    sweep.call("--submit")
    wait_until(lambda: len(list(tmp_path.glob("*/*/metrics.csv"))) == 2, what="two runs at work")
    run("scancel", f"{sweep.jobs[0]}_1")
    wait_until(lambda: "stopped by SIGTERM" in sweep.logs(), what="a stop")
    run("scancel", "--signal=USR1", "--batch", f"{sweep.jobs[0]}_0")
    sweep.until_over(300)
    status = sweep.call("--status")
    assert "smoke: 2 runs: 1 done, 1 stopped" in status, status + sweep.logs()
    assert len(sweep.jobs) == 2
    assert "submitted 1 runs" in sweep.call("--submit")
    sweep.until_over()
    assert "2 done" in sweep.call("--status"), sweep.logs()


def test_of_two_submissions_at_the_same_moment_one_does_it(tmp_path, commands):
    commands("sbatch", f'sleep 4; exec {shutil.which("sbatch")} "$@"')  # so that both are at it
    sweep = ClusterSweep("smoke", tmp_path / "runs", "trainer.max_epochs=500")
    both = [subprocess.Popen([*SWEEP, *sweep.words, "--submit"], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = sorted(process.communicate(timeout=300)[0] for process in both)
    assert "nothing to start: " in said[0]
    assert "submitted 4 runs" in said[1]
    assert len(sweep.jobs) == 1
    sweep.call("--cancel")


def test_a_job_that_cannot_load_its_modules_has_failed_and_says_why(tmp_path, commands):
    commands("module", "echo 'the module python/3.99 is unknown' >&2; exit 1")
    sweep = ClusterSweep("smoke", tmp_path / "runs", "seed=0", "conv=weighted", "cluster.modules=[python/3.99]")
    sweep.call("--submit")
    sweep.until_over()
    wait_until(lambda: "before it began: the module python/3.99 is unknown" in sweep.call("--status"))
    assert "1 failed" in sweep.call("--status")
    assert "nothing to start: 1 failed; --retry failed" in sweep.call("--submit")


def test_four_runs_of_one_node_have_a_gpu_each(tmp_path):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/bash\necho "GPU $CUDA_VISIBLE_DEVICES of $HOSTNAME"\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    sweep = ClusterSweep(
        "smoke",
        tmp_path / "runs",
        "resources=gpu1",
        "resources.walltime=00:10:00",
        "resources.runs_at_once=4",
        "trainer.accelerator=cpu",
        "trainer.max_epochs=1",
        f"cluster.python={python}",
    )
    assert "of 1 tasks" in sweep.call("--submit")
    sweep.until_over()
    assert "4 done" in sweep.call("--status")
    gpus = [line.split()[1] for line in sweep.logs().splitlines() if line.startswith("GPU ")]
    assert sorted(gpus) == ["0", "1", "2", "3"]


def test_runs_that_share_a_gpu_are_at_work_together_and_those_that_are_not_over_go_on(tmp_path):
    """One of three is over when the time of the job ends: the signal reaches the other two, and they alone resume."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/bash\necho "GPU $CUDA_VISIBLE_DEVICES of $HOSTNAME"\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    file = tmp_path / "shared.yaml"
    long = "trainer.max_epochs=40"
    file.write_text(
        f"overrides: [experiment=quickstart]\nruns: [[trainer.max_epochs=1], [seed=1, {long}], [seed=2, {long}]]\n"
    )
    sharing = ("resources=gpu1", "resources.walltime=00:10:00", "resources.runs_per_gpu=3", "trainer.accelerator=cpu")
    sweep = ClusterSweep(file, tmp_path / "runs", *sharing, f"cluster.python={python}")
    assert "of 1 tasks" in sweep.call("--submit")
    wait_until(lambda: len(list(sweep.output_dir.glob("*/*/metrics.csv"))) == 3, what="three runs at work")
    # Noted by the job, which is a moment after its results are there: until then a restart asks it again.
    wait_until(lambda: any(file.read_text() for file in sweep.launches.glob("*/ended/*")), what="the short run")
    run("scancel", "--signal=USR1", "--batch", sweep.jobs[0])
    wait_until(lambda: sweep.logs().count("resuming from step") == 2, what="two runs that go on\n" + sweep.logs())
    assert "1 done, 2 running" in sweep.call("--status")
    started = [line for line in sweep.logs().splitlines() if line.startswith("GPU ")]
    assert len(started) == 5, sweep.logs()
    assert len(set(started)) == 1
    sweep.call("--cancel")


@pytest.mark.parametrize(
    ("overrides", "setting"),
    [
        (["cluster.account=NOBODY"], "cluster.account=NOBODY"),
        (["cluster.partition=nowhere"], "cluster.partition=nowhere"),
        (["cluster.qos=never"], "cluster.qos=never"),
        (["resources.walltime=25:00:00"], "resources.walltime=25:00:00"),
        (
            ["cluster.partition=lrd_all_serial", "resources.walltime=05:00:00"],
            "cluster.partition=lrd_all_serial allows",
        ),
        (["cluster.qos=boost_qos_dbg", "resources.walltime=01:00:00"], "cluster.qos=boost_qos_dbg allows"),
        (["resources.gpus=5"], "resources.gpus"),
    ],
)
def test_what_slurm_would_refuse_is_refused_before_anything_runs(tmp_path, overrides, setting):
    sweep = ClusterSweep("smoke", tmp_path, *overrides)
    assert setting in sweep.refused()
    assert sweep.jobs == []
    assert sweep.runs == []


def test_a_qos_may_allow_more_than_its_partition():
    cluster = {"partition": "boost_usr_prod", "qos": "boost_qos_lprod", "warn_seconds": 300}
    slurm.check_time(cluster, {"walltime": "3-00:00:00"})
    with pytest.raises(ValueError, match=r"longer than cluster.qos=boost_qos_lprod allows, which is 4-00:00:00"):
        slurm.check_time(cluster, {"walltime": "5-00:00:00"})


def test_check_says_what_it_tried(tmp_path):
    sweep = ClusterSweep("smoke", tmp_path, "cluster.qos=boost_qos_dbg")
    said = sweep.call("--check", "--probe")
    for words in ("synthetic_classes: there and verified", "all that a run imports", "sbatch would take it", "unknown"):
        assert words in said
    assert "on a compute node: torch" in said
    wrong = ClusterSweep("smoke", tmp_path, "cluster.account=NOBODY", "cluster.python=/bin/false")
    done = run(sys.executable, ROOT / "scripts" / "sweep.py", *wrong.words, "--check")
    assert done.returncode == 2
    assert "WRONG: /bin/false cannot import" in done.stdout
    assert "WRONG: cluster.account=NOBODY" in done.stdout
