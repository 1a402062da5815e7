"""The command around the benchmarks: what it offers, what it prints and what it writes."""

import importlib
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

import wconv.experiment.benchmarks
from scripts import benchmark
from wconv.experiment.benchmarks import operator
from wconv.experiment.benchmarks.pairs import Quartiles, Ratio


@pytest.fixture
def measured(monkeypatch):
    """Stand in for the measurements of the operator; returns the arguments that they were called with."""
    calls = []

    def measure(arguments):
        calls.append(arguments)
        return [{"step": "small", "seconds": 0.123456789}]

    monkeypatch.setattr(operator, "measure", measure)
    monkeypatch.setattr(torch, "set_num_threads", lambda number: calls.append(number))
    return calls


def test_the_table_is_printed_and_written_with_its_command_and_machine(measured, tmp_path, capsys):
    words = ["operator", "--pairs", "3", "--threads", "2", "-o", str(tmp_path / "new folder")]
    assert benchmark.main(words) == 0
    printed = capsys.readouterr().out
    assert (tmp_path / "new folder" / "operator.md").read_text() == printed
    assert printed.startswith("- made by: `python scripts/benchmark.py operator --pairs 3 --threads 2 -o '")
    assert "\n- CPU: " in printed
    assert "0.1235" in printed
    assert pd.read_csv(tmp_path / "new folder" / "operator.csv", comment="#")["seconds"].tolist() == [0.123456789]
    threads, arguments = measured
    assert (threads, arguments.pairs, arguments.device) == (2, 3, "cpu")


def test_nothing_is_written_where_no_folder_is_named(measured, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert benchmark.main(["operator"]) == 0
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_said_before_anything_is_measured(measured, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert benchmark.main(["operator", "-o", str(tmp_path / "file" / "folder")]) == 2
    assert capsys.readouterr().err.startswith("benchmark: ")
    assert not [call for call in measured if not isinstance(call, int)]


def test_a_device_that_is_not_there_is_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert benchmark.main(["operator", "--device", "cuda"]) == 2
    assert capsys.readouterr().err == "benchmark: --device cuda: PyTorch finds no GPU here; leave --device out\n"


def test_what_has_a_file_is_offered_and_nothing_else(tmp_path, monkeypatch, capsys):
    (tmp_path / "step.py").touch()
    (tmp_path / "pairs.py").touch()
    monkeypatch.setattr(wconv.experiment.benchmarks, "__path__", [str(tmp_path)])
    with pytest.raises(SystemExit, match="0"):
        benchmark.main(["--help"])
    offered = capsys.readouterr().out
    assert benchmark.BENCHMARKS["step"] in " ".join(offered.split())
    assert "operator" not in offered.replace("benchmark.py operator", "")
    with pytest.raises(SystemExit, match="2"):
        benchmark.main(["operator"])


def test_help_imports_no_benchmark(monkeypatch):
    monkeypatch.delitem(sys.modules, "wconv.experiment.benchmarks.operator")
    with pytest.raises(SystemExit, match="0"):
        benchmark.main(["--help"])
    assert "wconv.experiment.benchmarks.operator" not in sys.modules


def test_a_benchmark_shows_its_own_options(capsys):
    with pytest.raises(SystemExit, match="0"):
        benchmark.main(["operator", "--help"])
    shown = capsys.readouterr().out
    assert all(option in shown for option in ("--pairs", "--device", "--threads", "-o"))


def test_every_benchmark_that_has_a_file_has_the_interface():
    files = {path.stem for path in Path(operator.__file__).parent.glob("*.py")}
    for name in benchmark.BENCHMARKS.keys() & files:
        module = importlib.import_module(f"wconv.experiment.benchmarks.{name}")
        assert callable(module.add_arguments)
        assert callable(module.measure)


def test_a_ratio_that_has_moved_is_an_error_and_a_time_is_not(monkeypatch, tmp_path, capsys):
    def measured(ratio, seconds):
        row = {"step": "small", "a / b": Ratio(*ratio), "ms": Quartiles(*seconds)}
        monkeypatch.setattr(operator, "measure", lambda arguments: [row, {"step": "new", "a / b": Ratio(9, 9, 9)}])

    measured((1.0, 0.9, 1.1), (5, 5, 5))
    assert benchmark.main(["operator", "-o", str(tmp_path)]) == 0
    earlier = ["operator", "--against", str(tmp_path / "operator.csv")]
    measured((1.2, 1.1, 1.3), (50, 50, 50))
    assert benchmark.main(earlier) == 0
    for moved in ((1.3, 1.2, 1.4), (0.7, 0.6, 0.8)):
        measured(moved, (5, 5, 5))
        capsys.readouterr()
        assert benchmark.main(earlier) == 1
        error = capsys.readouterr().err
        assert error == f"benchmark: small: a / b is {Ratio(*moved)}, and was 1.000 (0.900 to 1.100)\n"


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "cannot be read"), ("", "cannot be read"), ("x\n1\n", "no column")]
)
def test_what_is_no_earlier_table_is_one_sentence(content, reason, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(operator, "measure", lambda arguments: [{"step": "small", "a / b": Ratio(1, 1, 1)}])
    file = tmp_path / "before.csv"
    if content is not None:
        file.write_text(content)
    assert benchmark.main(["operator", "--against", str(file)]) == 2
    assert reason in capsys.readouterr().err
