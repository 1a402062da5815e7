"""The terminal or the pipe that a run prints to is closed: the run goes on to its end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny import CLASSIFIER, command_line
from wconv.experiment.runs.saved_runs import find_runs

ROOT = Path(__file__).resolve().parents[2]
NUMBERS = {"test/acc", "test/acc_top5", "test/loss", "val/acc", "val/acc_top5", "val/loss"}


def command(folder: Path, *more: str) -> list[str]:
    options = ("callbacks.progress.every_seconds=0.001", f"paths.output_dir={folder}", *more)
    return [sys.executable, str(ROOT / "train.py"), *command_line(CLASSIFIER, *options)]


def check_completed(folder: Path) -> None:
    (run,) = find_runs([folder])
    assert run.status == "completed"
    assert run.metrics.keys() == NUMBERS
    assert not (run.folder / "error.log").exists()


def test_a_pipe_whose_reader_has_seen_enough(tmp_path):
    process = subprocess.Popen(command(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline().startswith("training vgg-")
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait(timeout=120) == 0
    assert err == ""
    check_completed(tmp_path)


def test_a_terminal_that_is_closed_under_a_progress_bar(tmp_path):
    """As of a disowned job: no SIGHUP, but every write fails."""
    terminal, slave = os.openpty()
    process = subprocess.Popen(command(tmp_path), stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    seen = b""
    while b"Epoch" not in seen:
        seen += os.read(terminal, 1000)
    os.close(terminal)
    assert process.wait(timeout=120) == 0
    check_completed(tmp_path)


@pytest.mark.parametrize("handler", [signal.SIG_DFL, signal.SIG_IGN], ids=["heard", "ignored, as by nohup"])
def test_the_signal_of_a_closed_terminal(tmp_path, handler):
    """A run that hears of it saves, and leaves with 75."""
    process = subprocess.Popen(
        command(tmp_path, "trainer.max_epochs=30"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, handler),
    )
    process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    _, err = process.communicate(timeout=120)
    (run,) = find_runs([tmp_path])
    if handler == signal.SIG_IGN:
        assert process.returncode == 0, err
        assert run.status == "completed"
    else:
        assert process.returncode == 75, err
        assert "stopped by SIGHUP at step" in err
        assert run.status == "interrupted"
        assert (run.folder / "checkpoints" / "last.ckpt").exists()


def test_a_sweep_whose_reader_has_left(tmp_path):
    sweep = tmp_path / "two.yaml"
    overrides = "".join(f"  - {line}\n" for line in command_line(CLASSIFIER, "trainer.max_epochs=1"))
    sweep.write_text(f"overrides:\n{overrides}grid:\n  seed: [0, 1]\n")
    words = [sys.executable, str(ROOT / "scripts" / "sweep.py"), str(sweep), "--local", "1"]
    process = subprocess.Popen(
        [*words, f"paths.output_dir={tmp_path / 'runs'}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait(timeout=240) == 0, err
    assert err == ""
    assert [run.status for run in find_runs([tmp_path / "runs"])] == ["completed", "completed"]


@pytest.mark.parametrize(
    ("script", "option", "name", "content"),
    [("compare.py", "--markdown", "table.md", b"vgg"), ("export.py", "-o", "network.safetensors", b"format")],
)
def test_a_script_whose_reader_has_left(tmp_path, train, script, option, name, content):
    done = train("trainer.max_epochs=1")
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, ROOT / "scripts" / script, done.directory, option, tmp_path / name]
    ended = subprocess.run(list(map(str, command)), stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert content in (tmp_path / name).read_bytes()
