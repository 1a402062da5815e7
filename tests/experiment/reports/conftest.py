"""Runs that are in no folder, pages of runs that are in one, and a browser to open them in."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from scripts import report
from wconv.experiment.runs.saved_runs import SavedRun

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MakePage = Callable[..., Path]
MakeRow = Callable[..., list[SavedRun]]


@pytest.fixture
def make_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> MakePage:
    """Make the page of run folders, by the command."""

    def make(*words: object) -> Path:
        page = tmp_path / "report.html"
        assert report.main([*map(str, words), "-o", str(page)]) == 0, capsys.readouterr().err
        return page

    return make


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if BROWSER is None:
        pytest.skip("there is no Chromium; on Debian: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def make_row() -> MakeRow:
    def make(
        arm: str,
        values: Sequence[float],
        metric: str = "test/acc",
        seeds: Sequence[int] | None = None,
        val: float | None = None,
        **features: object,
    ) -> list[SavedRun]:
        """Return a run a seed; features of a configuration are written with two underscores for a dot."""
        shared = {"model": "vgg", "init": "kaiming", "density": "-", "parameters": 100, "conv": arm}
        shared |= {name.replace("__", "."): value for name, value in features.items()}
        more = {} if val is None else {f"val/{metric.rpartition('/')[2]}": val}
        found = zip(range(len(values)) if seeds is None else seeds, values, strict=True)
        return [SavedRun(Path(f"{arm}-s{s}"), "completed", "", s, {metric: v} | more, shared) for s, v in found]

    return make
