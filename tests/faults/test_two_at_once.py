"""Two processes that start the same run at the same instant: one trains, one says who does."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from fault_harness import DEADLINE, ROOT

pytestmark = pytest.mark.faults
TIMES = 20
END = "-- both have ended"  # no empty line: two processes that print at once may leave one


def test_two_processes_at_once(tmp_path, record_fault):
    """Both are forks of one process that has imported everything, so that they start within a millisecond."""
    harness = Path(__file__).with_name("forks.py")
    done = subprocess.run(
        [sys.executable, str(harness), str(tmp_path), str(TIMES), END],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=2 * DEADLINE,
        check=True,
    )
    starts = done.stdout.split(f"\n{END}\n")[:-1]
    assert len(starts) == TIMES
    for start in starts:
        assert re.search(r"^codes \[0, 75\]$", start, re.M), start
        (trainer,) = re.findall(r"^process (\d+) ends with 0$", start, re.M)
        assert re.search(rf"is held by process {trainer} on ", start), start
    record_fault(
        "two processes started at once on one run",
        TIMES,
        "nothing: one trained, the other named it and exited with code 75",
    )
