"""How long it takes from the start to the first new batch: going on, against starting afresh, in pairs."""

import time
from statistics import median

import pytest
from fault_harness import ALWAYS, CLASSIFIER, Command

pytestmark = pytest.mark.faults
PAIRS = 7
MOST = 1.2


def seconds_to_first_batch(command: Command) -> float:
    process = command.start()
    process.wait_for(lambda: " batch " in process.output)
    seconds = time.monotonic() - process.started
    process.popen.kill()
    process.end()
    return seconds


def test_going_on_is_not_slower_than_starting(tmp_path, record_fault):
    started = Command(tmp_path, *CLASSIFIER, *ALWAYS)
    process = started.start()
    process.wait_for(lambda: "epoch 2/" in process.output)
    process.popen.kill()
    process.end()
    assert (started.directory / "checkpoints" / "last.ckpt").exists()
    ratios = []
    for pair in range(PAIRS):
        fresh = seconds_to_first_batch(Command(tmp_path, *CLASSIFIER, *ALWAYS, f"seed={1 + pair}"))
        ratios.append(seconds_to_first_batch(started) / fresh)
    assert median(ratios) <= MOST, ratios
    lost = (
        f"time to the first new batch, divided by that of a fresh start: {median(ratios):.2f} (median of {PAIRS} pairs)"
    )
    record_fault("resuming from a checkpoint", PAIRS, lost)
