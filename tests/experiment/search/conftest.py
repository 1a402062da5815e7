"""Searches of tiny runs, through the command; and of none, where what a run comes to follows from its density."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from scripts.search import main
from tests.tiny import CLASSIFIER, CommandResult, command_line
from wconv.experiment.runs.result import Result
from wconv.experiment.search import objective
from wconv.experiment.search.settings import Settings, load_settings

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
def search(words: Callable[..., list[str]], run_main: Callable[..., CommandResult]) -> Callable[..., CommandResult]:
    """Call scripts/search.py within the process."""
    return lambda method, *more, options=(): run_main(main, *words(method, *more), *options)


QUICKSTART = "experiment=quickstart"


def accuracy(density: Sequence[float], seed: int) -> float:
    """A hill, and what a seed adds."""
    return 0.6 - sum((value - 0.85) ** 2 for value in density) + 0.001 * seed


@dataclass
class Runs:
    """Stands in for `wconv.experiment.run`.

    Attributes:
        folder: of all runs.
        value: of a density and a seed; it may raise.
        trained: every density and seed that was trained; a run that is there is only read.
    """

    folder: Path
    value: Callable[[Sequence[float], int], float] = accuracy
    metric: str = "val/acc"
    trained: list[tuple[tuple[float, ...], int]] = field(default_factory=list)
    _done: dict[tuple[str, ...], Result] = field(default_factory=dict)

    def __call__(self, words: Sequence[str]) -> Result:
        if tuple(words) not in self._done:
            found = re.findall(r"conv\.density\.k\d=\[(.+?)\]", " ".join(words))
            density = tuple(float(value) for value in found[0].split(",")) if found else (1.0,)
            assert found or "conv=standard" in words
            seed = int(words[-1].removeprefix("seed="))
            value = self.value(density, seed)
            self.trained.append((density, seed))
            results: dict[str, Any] = {"metrics": {"test/acc": 0.0, self.metric: value}, "epochs": 5}
            name = f"vgg-{'-'.join(map(str, density))}-s{seed}"
            self._done[tuple(words)] = Result(self.folder / name, results)
        return self._done[tuple(words)]

    def forget(self) -> None:
        """Remove the runs."""
        self.trained.clear()
        self._done.clear()


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Train nothing."""
    made = Runs(tmp_path)
    monkeypatch.setattr(objective, "run", made)
    return made


@pytest.fixture(scope="session")
def loaded() -> Callable[..., Settings]:
    """Read the settings of a command line, once."""
    read: dict[tuple[str, ...], Settings] = {}

    def load(*words: str) -> Settings:
        if words not in read:
            read[words] = load_settings([QUICKSTART, *words])
        return read[words]

    return load


@pytest.fixture
def make_settings(loaded: Callable[..., Settings], tmp_path: Path) -> Callable[..., Settings]:
    """Return the settings of a search whose runs land in tmp_path; keywords are keys of the search."""

    return partial(settings_in, tmp_path, loaded)


def settings_in(folder: Path, loaded: Callable[..., Settings], *words: str, **search: Any) -> Settings:
    """Return the settings of a search whose runs land in a folder."""
    base = loaded(*words)
    made = replace(base, search={**base.search, **search}, output_dir=folder)
    made.folder.mkdir(parents=True, exist_ok=True)
    return made
