"""What all tests share: one thread, calls of train.py and scripts within the process, the table of injected faults."""

import gc
import logging
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch

from tests.tiny import CLASSIFIER, SYNTHETIC_KEYS, CommandResult, command_line

os.environ.setdefault("OMP_NUM_THREADS", "1")
torch.set_num_threads(1)

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # train.py and scripts/ are files of the checkout, in no package


gc.disable()  # until all tests are collected, so that modules are imported faster


def pytest_collection_finish() -> None:
    """Leave all modules out of garbage collections: statsmodels asks for one at each correction of p-values."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """Take away what a test has added to the root logger: Hydra's --info leaves a handler for a closed stdout."""
    root = logging.getLogger()
    level, before = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    for handler in root.handlers[:]:
        if type(handler) is logging.StreamHandler and handler not in before:  # pytest's own are of other classes
            root.removeHandler(handler)


@pytest.fixture
def run_main(capsys: pytest.CaptureFixture[str]) -> Callable[..., CommandResult]:
    """Call the main function of a script with arguments."""

    def call(main: Callable[[list[str]], int], *arguments: object) -> CommandResult:
        capsys.readouterr()
        return CommandResult(main([str(argument) for argument in arguments]), *capsys.readouterr())

    return call


@pytest.fixture
def launch(monkeypatch: pytest.MonkeyPatch, run_main: Callable[..., CommandResult]) -> Callable[..., CommandResult]:
    """Call train.py with a command line."""
    import train as program

    def main(line: list[str]) -> int:
        monkeypatch.setattr(sys, "argv", ["train.py", *line])
        return program.main()

    return partial(run_main, main)


@pytest.fixture
def train(tmp_path: Path, launch: Callable[..., CommandResult]) -> Callable[..., CommandResult]:
    """Call train.py on a tiny run with more arguments; runs land in tmp_path / "runs"."""

    def call(*arguments: str) -> CommandResult:
        chosen = {argument.split("=")[0].lstrip("+") for argument in arguments}
        foreign = (
            *(SYNTHETIC_KEYS if "datamodule" in chosen else ()),
            *(("model.depth",) if "model" in chosen else ()),
            *(("model.width",) if {"model=torchvision", "model=timm"} & set(arguments) else ()),
        )
        tiny = [
            argument
            for argument in command_line(CLASSIFIER)
            if not argument.startswith((*(f"{key}=" for key in chosen), *foreign))
        ]
        if "paths.output_dir" not in chosen:
            tiny.append(f"paths.output_dir={tmp_path / 'runs'}")
        return launch(*tiny, *arguments)

    return call


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """Return a folder that no attack may reach."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "diary").write_text("dear diary")
    return folder


@pytest.fixture
def record_fault(record_property: Callable[[str, object], None]) -> Callable[[str, int, str], None]:
    """Note a fault for the table: what, how often, and what was lost."""
    return lambda fault, times, lost: record_property("fault", [fault, times, lost])


PAGE = """# Faults that were injected, and what they cost

Made by

    python -m pytest -n 2 tests/faults tests/runs/test_malformed_lines.py tests/runs/test_hostile_resume.py \\
        tests/experiment/runs/test_damaged_files.py tests/experiment/inference/test_hostile_runs.py \\
        --faults-table results/faults.md

which writes this page only if every test passes. `times` counts faults; a test of several of one kind may count once.

{table}
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--faults-table", type=Path, metavar="FILE", help="write the table of injected faults to a file")


class FaultsTable:
    """Gather what tests say with the fixture `record_fault`."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.rows: list[dict[str, object]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call":
            return
        for name, value in report.user_properties:
            if name == "fault":
                fault, times, lost = value
                survived = "yes" if report.passed else "NO"
                self.rows.append({"fault": fault, "times": times, "survived": survived, "lost": lost})

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
        if not self.rows:
            return
        rows = pd.DataFrame(self.rows)
        same = rows.groupby(["fault", "lost"])
        table = same.agg(times=("times", "sum"), survived=("survived", "min")).reset_index()
        text = table[["fault", "times", "survived", "lost"]].to_markdown(index=False)
        terminalreporter.write_sep("=", "injected faults")
        terminalreporter.write_line(text)
        if self.path and exitstatus == 0:
            self.path.write_text(PAGE.format(table=text))


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(FaultsTable(config.getoption("--faults-table")))
