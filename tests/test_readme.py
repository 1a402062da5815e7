"""The pages can be believed: their Python runs, their commands are understood, their tables can be made again."""

import re
import shlex
from argparse import ArgumentParser
from pathlib import Path

import pytest
from PIL import Image

from wconv.experiment.command_line.arguments import parse_command_line
from wconv.experiment.reports.answer import add_answer_options, answer
from wconv.experiment.reports.options import chosen_runs
from wconv.experiment.search.settings import load_settings

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("results/*/README.md")),
]
TABLES = sorted(ROOT.glob("results/*/table.md"))


def blocks(language: str) -> list[str]:
    return [block for page in PAGES for block in re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.S)]


# Those of a recipe are files and parts of files; tests/runs/test_recipes.py follows them.
PYTHON = [block for block in blocks("python") if not re.match("# (new file|at the end|in ARMS)", block)]


@pytest.mark.parametrize("code", PYTHON)
def test_python_runs(code, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("wconv.experiment.common.checkout.ROOT", tmp_path)  # runs shall not lie in the checkout
    monkeypatch.setenv("MPLBACKEND", "Agg")
    exec(compile(code, "README.md", "exec"), {})


COMMANDS = [line for block in blocks("bash") for line in block.splitlines() if "train.py" in line]


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_are_understood(line):
    words = shlex.split(line, comments=True)
    assert parse_command_line(words[words.index("train.py") + 1 :], ROOT / "configs").arguments


SEARCHES = [line for block in blocks("bash") for line in block.splitlines() if "scripts/search.py" in line]


@pytest.mark.parametrize("line", SEARCHES)
def test_searches_are_understood(line, monkeypatch, tmp_path):
    for folder in ("bsd400", "bsd68", "set12"):
        (tmp_path / folder).mkdir()
        for number in range(4):
            Image.new("L", (64, 64), 60 * number).save(tmp_path / folder / f"{number}.png")
    monkeypatch.chdir(ROOT)
    words = shlex.split(line, comments=True)
    words = words[words.index("scripts/search.py") + 1 :]
    load_settings([*(word for word in words if "=" in word), f"paths.data_dir={tmp_path}"])
    assert {word for word in words if word.startswith("-")} <= {
        "--status",
        "--plot",
        "--workers",
        "--submit",
        "--no-confirm",
    }


def test_there_are_commands_and_tables_to_test():
    assert len(COMMANDS) >= 8
    assert TABLES


def anchors(page: Path) -> list[str]:
    """The names that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_links_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text()):
        there = page.parent / target if target else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), f"{target}#{anchor}"


def test_the_index_lists_every_page():
    index = (ROOT / "docs" / "README.md").read_text()
    assert [
        page.name for page in ROOT.glob("docs/*.md") if page.name != "README.md" and f"]({page.name})" not in index
    ] == []


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.parent.name)
def test_a_committed_table_is_made_again_from_its_runs(path):
    parser = ArgumentParser()
    add_answer_options(parser)
    options = parser.parse_args([str(path.parent / "runs")])
    assert answer(options, chosen_runs(options))[0] + "\n" == path.read_text()


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.parent.name)
def test_pages_show_the_committed_table(path):
    page = (path.parent / "README.md").read_text()
    assert all(table in page for table in re.findall(r"(?:^\|.*\n)+", path.read_text(), re.M))


def test_the_page_on_statistics_shows_what_the_command_says():
    said = (ROOT / "results" / "statistics_example" / "table.md").read_text().partition("Against ")
    assert said[1] + said[2] in (ROOT / "docs" / "statistics.md").read_text()
