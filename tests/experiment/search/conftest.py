"""Searches of tiny runs, through the command."""

from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.search import main
from tests.tiny import CLASSIFIER, CommandResult, command_line

SHORT = ("trainer.max_epochs=1", "search.seeds=[0,1]", "search.confirm_seeds=[5,6]")


@pytest.fixture
def words(tmp_path: Path) -> Callable[..., list[str]]:
    """Return the words of a search of tiny runs below tmp_path / "runs"."""

    def make(method: str, *more: str) -> list[str]:
        chosen = {word.partition("=")[0] for word in more}
        short = [word for word in SHORT if word.partition("=")[0] not in chosen]
        folder = f"paths.output_dir={tmp_path / 'runs'}"
        return [f"search={method}", *command_line(CLASSIFIER, *short, folder, *(w for w in more if "=" in w))]

    return make


@pytest.fixture
def search(words: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]) -> Callable[..., CommandResult]:
    """Call scripts/search.py within the process."""

    def call(method: str, *more: str, options: tuple[str, ...] = ()) -> CommandResult:
        capsys.readouterr()
        code = main([*words(method, *more), *options])
        captured = capsys.readouterr()
        return CommandResult(code, captured.out, captured.err)

    return call
