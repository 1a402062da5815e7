"""The table of docs/ecosystem.md is what the tools do today."""

import re
import textwrap
from pathlib import Path

import pytest

from tests.ecosystem.tools import TOOLS, verdict

pytestmark = pytest.mark.ecosystem
PAGE = Path(__file__).resolve().parents[2] / "docs" / "ecosystem.md"


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: f"{tool.package} {tool.name}")
def test_the_page_says_what_the_tool_does(tool, monkeypatch):
    pytest.importorskip(tool.package)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    rows = re.findall(rf"^\| {tool.package} [\d.]+\S* +\| {re.escape(tool.name)} +\| (.+?) +\|", PAGE.read_text(), re.M)
    assert rows == [verdict(tool)[0]]


@pytest.mark.filterwarnings("ignore:density for kernel size")
@pytest.mark.parametrize("code", re.findall(r"^ *```py\n(.*?)```", PAGE.read_text(), re.M | re.S))
def test_the_python_of_the_page_that_needs_other_packages_runs(code):
    for package in re.findall(r"^ *(?:import|from) (timm|transformers)", code, re.M):
        pytest.importorskip(package)
    exec(compile(textwrap.dedent(code), "ecosystem.md", "exec"), {})
