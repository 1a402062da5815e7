"""A job whose time ends goes on by itself, and its runs end as if nothing had happened."""

import json
import re
import shutil

import pytest

from tests.slurm.conftest import ClusterSweep, run, wait_until

LONG = ("seed=0", "conv=weighted", "datamodule.train_images=3000", "datamodule.test_images=200", "trainer.max_epochs=4")
BATCHES = 21  # of an epoch: 2,700 images in batches of 128


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Return a sweep of one run that was left alone, in one process and in two."""
    made: dict[int, ClusterSweep] = {}

    def make(processes: int) -> ClusterSweep:
        if processes not in made:
            folder = tmp_path_factory.mktemp(f"undisturbed{processes}")
            made[processes] = ClusterSweep("smoke", folder, *LONG, *devices(processes))
            made[processes].call("--submit")
            made[processes].until_over()
            assert "1 done" in made[processes].call("--status"), made[processes].logs()
        return made[processes]

    return make


def devices(processes: int) -> tuple[str, ...]:
    return (f"trainer.devices={processes}", "trainer.accelerator=cpu", "resources.cpus=1")


def steps(sweep: ClusterSweep) -> list[int]:
    """Return after which steps its run was stopped."""
    return [int(step) for step in re.findall(r"^train.py: stopped by SIGUSR1 at step (\d+)", sweep.logs(), re.M)]


def assert_bit_identical(sweep: ClusterSweep, other: ClusterSweep) -> None:
    one, two = sweep.runs[0], other.runs[0]
    assert one.name == two.name
    assert (one / "metrics.csv").read_bytes() == (two / "metrics.csv").read_bytes()
    results = [json.loads((folder / "results.json").read_text()) for folder in (one, two)]
    assert results[0]["metrics"] == results[1]["metrics"]
    assert results[0]["steps"] == results[1]["steps"] == 4 * BATCHES


def test_when_the_time_ends_slurm_itself_sends_the_signal(tmp_path):
    """A minute is the shortest time that SLURM gives, and its signal may come a minute early: here at any moment."""
    short = ("resources.walltime=00:01:00", "cluster.warn_seconds=30")
    sweep = ClusterSweep("smoke", tmp_path, *LONG, *devices(1), *short, "trainer.max_epochs=15")
    sweep.call("--submit")
    sweep.until_over(1200)
    assert "1 done" in sweep.call("--status"), sweep.logs()
    assert restarts(sweep.jobs[0]) >= 1
    rows = (sweep.runs[0] / "metrics.csv").read_text().splitlines()
    assert [int(row.split(",")[0]) for row in rows[1:]] == list(range(15 + 1))  # and the test


def test_two_ranks_are_requeued_five_times(tmp_path, undisturbed):
    sweep = ClusterSweep("smoke", tmp_path, *LONG, *devices(2))
    sweep.call("--submit")
    job = sweep.jobs[0]
    for number in range(5):
        going = rf"{'resuming from step' if number else 'epoch 1/'}"
        what = f"start {number}\n{sweep.logs()}"
        wait_until(lambda: len(re.findall(going, sweep.logs())) >= max(1, number), what=what)  # noqa: B023
        run("scancel", "--signal=USR1", "--batch", job)
        wait_until(lambda: len(steps(sweep)) > number, 60, f"stop {number}\n{sweep.logs()}")  # noqa: B023
        wait_until(lambda: restarts(job) > number, 60, f"restart {number}")  # noqa: B023
    sweep.until_over()
    assert "1 done" in sweep.call("--status"), sweep.logs()
    assert_bit_identical(sweep, undisturbed(2))


@pytest.mark.parametrize("restart", ["requeue", "chain"])
@pytest.mark.parametrize("target", ["--batch", "--full"])
def test_a_job_signalled_inside_an_epoch_goes_on(tmp_path, undisturbed, restart, target):
    """To the batch shell alone, as --signal=B:USR1 sends it, or to the runs, too."""
    sweep = ClusterSweep("smoke", tmp_path, *LONG, *devices(1), f"cluster.restart={restart}")
    sweep.call("--submit")
    sweep.until_epoch()
    run("scancel", "--signal=USR1", target, sweep.jobs[0])
    wait_until(lambda: steps(sweep), what=f"a stop\n{sweep.logs()}")
    assert 0 < steps(sweep)[0] < 4 * BATCHES, "the signal came when the run was over: train longer"
    sweep.until_over()
    assert "1 done" in sweep.call("--status"), sweep.logs()
    assert len(sweep.jobs) == (2 if restart == "chain" else 1)
    assert_bit_identical(sweep, undisturbed(1))


def test_where_a_requeue_is_refused_a_job_is_chained(tmp_path, undisturbed, commands):
    commands("scontrol", f'[ "$1" != requeue ] || {{ echo denied >&2; exit 1; }}; exec {shutil.which("scontrol")} "$@"')
    sweep = ClusterSweep("smoke", tmp_path / "runs", *LONG, *devices(1))
    sweep.call("--submit")
    sweep.until_epoch()
    run("scancel", "--signal=USR1", "--batch", sweep.jobs[0])
    wait_until(lambda: steps(sweep), what=f"a stop\n{sweep.logs()}")
    sweep.until_over()
    assert "1 done" in sweep.call("--status"), sweep.logs()
    assert len(sweep.jobs) == 2
    assert "cluster.restart=requeue was refused" in sweep.logs()
    assert_bit_identical(sweep, undisturbed(1))


def restarts(job: str) -> int:
    found = re.search(r"Restarts=(\d+)", run("scontrol", "show", "job", job).stdout)
    return int(found[1]) if found else 0
