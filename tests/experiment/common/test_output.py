"""What is printed goes nowhere once nobody reads it, to the end of the interpreter; a lost result is an error."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import sys
from wconv.experiment.common.output import tolerate_closed_output

@tolerate_closed_output({options})
def main():
    for number in range(200):
        print("line", number, "x" * 100, flush={flush})
        print("line", number, file=sys.stderr)
    open("done", "w").close()
    return 3

sys.exit(main())
"""


def start(folder: Path, options: str = "", *, flush: bool = True, **streams) -> subprocess.Popen:
    program = PROGRAM.format(options=options, flush=flush)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", program], cwd=folder, env=environment, **streams)


@pytest.mark.parametrize("flush", [True, False], ids=["at once", "at the end"])
def test_a_pipe_without_a_reader(tmp_path, flush):
    reader, writer = os.pipe()
    os.close(reader)
    process = start(tmp_path, flush=flush, stdout=writer, stderr=subprocess.PIPE, text=True)
    _, err = process.communicate(timeout=60)
    os.close(writer)
    assert process.returncode == 3
    assert err == "".join(f"line {number}\n" for number in range(200))  # no "Exception ignored ... BrokenPipeError"
    assert (tmp_path / "done").exists()


def test_a_terminal_that_was_closed(tmp_path):
    """Both streams answer with EIO, as they do to a disowned job."""
    master, slave = os.openpty()
    process = start(tmp_path, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    os.close(master)
    assert process.wait(timeout=60) == 3
    assert (tmp_path / "done").exists()


def test_streams_that_were_closed_from_the_start(tmp_path):
    """And no file that the program opens is written to in their place."""
    program = PROGRAM.format(options="", flush=True).replace('open("done", "w").close()', CHILD)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PROGRAM": program}
    shell = f'"{sys.executable}" -c "$PROGRAM" <&- >&- 2>&-'
    done = subprocess.run(["sh", "-c", shell], cwd=tmp_path, env=environment, timeout=60)
    assert done.returncode == 3
    assert (tmp_path / "done").read_text() == ""


CHILD = 'file = open("done", "w"); import os; os.write(1, b"to nobody"); os.write(2, b"to nobody"); file.close()'


def test_a_full_disk_ends_a_program_whose_result_is_what_it_prints(tmp_path):
    with open("/dev/full", "w") as full:
        process = start(tmp_path, stdout=full, stderr=subprocess.PIPE, text=True)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err == "-c: the output cannot be written (No space left on device); send it elsewhere\n"


def test_a_full_disk_takes_the_lines_of_a_program_that_works(tmp_path):
    with open("/dev/full", "w") as full:
        process = start(tmp_path, "drop_lines=True", stdout=full, stderr=subprocess.PIPE, text=True)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 3
    assert err.count("\n") == 200


def test_characters_that_the_stream_has_no_code_for(tmp_path):
    program = PROGRAM.format(options="", flush=True).replace('"line"', '"66.9 ± 0.3"')
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True)
    assert done.returncode == 3
    assert done.stdout.startswith(rb"66.9 \xb1 0.3 0 ")


def test_a_stream_is_what_it_was_afterwards(capsys):
    from wconv.experiment.common.output import tolerate_closed_output

    before = sys.stdout
    with tolerate_closed_output():
        print("seen")
        assert sys.stdout is not before
    assert sys.stdout is before
    assert capsys.readouterr().out == "seen\n"
