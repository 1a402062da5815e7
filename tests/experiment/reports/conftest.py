"""Pages of runs, and a browser to open them in."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts import report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MakePage = Callable[..., Path]


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
