"""SIGUSR1 and SIGTERM: exit code 75 with a checkpoint, from the imports to the test."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fault_harness import ALWAYS, CLASSIFIER, DEADLINE, ROOT, Command, assert_bit_identical

pytestmark = pytest.mark.faults
NOTHING = "nothing: exited with code 75, resumed, and ended the same to the last bit"


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_at_five_instants(number, classifier, tmp_path, chance, record_fault):
    command = Command(tmp_path, *CLASSIFIER, *ALWAYS)
    for instant in range(5):
        process = command.start()
        if instant == 0:  # while it still imports
            time.sleep(1)
        else:
            process.wait_for(lambda started=process: "\nepoch " in started.output)
            time.sleep(chance.uniform(0, 0.5))
        process.popen.send_signal(number)
        assert process.end() == 75, process.output
        assert f"stopped by {number.name}" in process.output
        assert "Traceback" not in process.output
        if instant:
            assert command.results["status"] == "interrupted"
    process = command.start()
    assert process.end() == 0, process.output
    assert_bit_identical(command.directory, classifier.directory)
    record_fault(f"{number.name}, in start-up and in epochs", 5, NOTHING)


def test_a_second_sigint_ends_at_once(tmp_path):
    command = Command(tmp_path, *CLASSIFIER, *ALWAYS)
    process = command.start()
    time.sleep(1)
    process.popen.send_signal(signal.SIGINT)
    process.wait_for(lambda: "stopped" in process.output)
    assert process.end() == 75


def test_two_processes_of_one_run_leave_together(tmp_path, record_fault):
    """One start of the process group, ten signals, each to one of the two."""
    harness = Path(__file__).with_name("two_ranks.py")
    line = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(harness)]
    done = subprocess.run(
        [*line, str(tmp_path)], capture_output=True, text=True, cwd=ROOT, timeout=2 * DEADLINE, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for rank in (0, 1):
        assert (tmp_path / f"codes{rank}").read_text().split() == ["75"] * 10 + ["0"]
    record_fault(
        "a signal to one of two processes (SIGUSR1, SIGTERM)", 10, "nothing: both exited with code 75, neither hung"
    )


@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_one_process_of_the_real_command(rank, tmp_path, record_fault):
    options = ("trainer.devices=2", "trainer.strategy=ddp")
    command = Command(tmp_path, *CLASSIFIER, *ALWAYS, *options)
    process = command.start()
    process.wait_for(lambda: "batch" in process.output)
    pids = [process.popen.pid, *children(process.popen.pid)]
    assert len(pids) == 2
    subprocess.run(["kill", "-TERM", str(pids[rank])], check=True)
    assert process.end() == 75, process.output
    assert command.results["status"] == "interrupted"
    process = command.start()
    assert process.end() == 0, process.output
    record_fault(
        f"SIGTERM to process {rank} of two, of the real command", 1, "nothing: both exited with code 75 and resumed"
    )


def children(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid), "-f", "train.py"], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]
