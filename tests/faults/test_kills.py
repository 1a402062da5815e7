"""kill -9 at any instant: the run resumes, and ends as one that nobody killed."""

import re
import shutil
import time

import pytest
from fault_harness import ALWAYS, CLASSIFIER, DENOISER, Command, Process, assert_bit_identical

pytestmark = pytest.mark.faults


def in_start_up(process: Process, command: Command, chance) -> None:
    time.sleep(chance.uniform(0, 4))


def in_an_epoch(process: Process, command: Command, chance) -> None:
    process.wait_for(lambda: "\nepoch " in process.output)
    time.sleep(chance.uniform(0, 1.5))


def in_validation(process: Process, command: Command, chance) -> None:
    process.wait_for(lambda: re.search(r"batch (\d+)/\1\n", process.output) is not None)
    time.sleep(chance.uniform(0, 0.1))


def in_a_checkpoint(process: Process, command: Command, chance) -> None:
    process.wait_for(lambda: "\nepoch " in process.output)
    time.sleep(chance.uniform(0, 0.5))
    process.wait_for(lambda: bool(command.parts))


MOMENTS = (in_start_up, in_an_epoch, in_validation, in_a_checkpoint)


def kill_again_and_again(command: Command, kills: int, undisturbed: Command, chance) -> None:
    """Start a run until it was killed so often, then let it end, and compare."""
    killed = 0
    while killed < kills:
        process = command.start()
        MOMENTS[killed % len(MOMENTS)](process, command, chance)
        process.popen.kill()
        if process.end() == 0:  # it came to its end before: once more from the start
            assert_bit_identical(command.directory, undisturbed.directory)
            shutil.rmtree(command.directory)
        else:
            killed += 1
    process = command.start()
    assert process.end() == 0, process.output
    assert_bit_identical(command.directory, undisturbed.directory)
    assert not command.parts


WHERE = ", ".join(moment.__name__.replace("_", " ") for moment in MOMENTS)
NOTHING = "nothing: weights and metrics.csv are the same to the last bit"


def test_a_classifier_that_is_killed(classifier, tmp_path, chance, record_fault):
    kill_again_and_again(Command(tmp_path, *CLASSIFIER, *ALWAYS), 20, classifier, chance)
    record_fault(f"kill -9 of a classifier ({WHERE})", 20, NOTHING)


def test_a_denoiser_that_is_killed(denoiser, tmp_path, chance, record_fault):
    kill_again_and_again(Command(tmp_path, *DENOISER, *ALWAYS), 5, denoiser, chance)
    record_fault(f"kill -9 of a denoiser ({WHERE})", 5, NOTHING)
