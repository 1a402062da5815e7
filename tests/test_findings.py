"""What pages say of committed runs is what these runs say; the report on the study has all of its runs."""

import gc
import re
from pathlib import Path

from scripts import fill_page

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "docs" / "findings.md", ROOT / "docs" / "study.md"]
PAGE = ROOT / "results" / "study" / "report.html"
FILLED = re.compile(r"<!-- python .*?<!-- end -->", re.S)
# Of the paper, and of how much had to differ to count; the confidence of an interval.
KNOWN = {"56.89 %", "66.94 %", "20.17 dB", "22.63 dB", "0.5 points", "0.05 dB", "95 %"}


def test_each_number_is_what_its_command_prints_now():
    gc.freeze()  # also what other tests have left: each of some hundred Holm corrections collects garbage
    results = [ROOT / "results" / name / "README.md" for name in ("search", "precision")]
    pages = [ROOT / "README.md", *PAGES, ROOT / "docs" / "speed.md", *results]
    assert fill_page.main([*map(str, pages), "--check"]) == 0


def test_no_result_is_typed():
    """Differences, accuracies and PSNR stand where a command puts them, but for those of the paper and the plan."""
    summary = (ROOT / "README.md").read_text().partition("## What we found")[2].partition("\n## ")[0]
    assert summary
    typed = FILLED.sub("", summary + "".join(page.read_text() for page in PAGES))
    found = set(re.findall(r"\d+(?:\.\d+)? (?:%|points|dB)", typed))
    assert found <= KNOWN, found - KNOWN


def test_the_page_of_the_runs_is_small_and_has_all_of_them():
    assert PAGE.stat().st_size < 6e6
    text = PAGE.read_text()
    runs = [file.parent.name for file in ROOT.glob("results/study/runs/*/*/results.json")]
    assert len(runs) > 40
    assert [name for name in runs if name not in text] == []
