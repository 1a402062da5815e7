"""fill_page.py: what the commands of a page print stands in it, and a page that differs is found."""

from pathlib import Path

import pytest

from scripts import fill_page

ROW = "python scripts/compare.py results/statistics_example/runs --row weighted"
TABLE = "python scripts/compare.py results/statistics_example/runs --brief"
SAID = "undecided: 5.4 points better (95 % CI -2.4 to 13.2, 6 seeds); 6 seeds could show 10.6 points"


def page_with(tmp_path: Path, text: str) -> Path:
    page = tmp_path / "page.md"
    page.write_text(text)
    return page


def test_a_sentence_stands_in_its_line_and_a_table_between_empty_ones(tmp_path: Path) -> None:
    page = page_with(tmp_path, f"So: <!-- {ROW} --><!-- end -->.\n\n<!-- {TABLE} -->\n99 %\n<!-- end -->\n")
    assert fill_page.main([str(page)]) == 0
    lines = page.read_text().splitlines()
    assert lines[0] == f"So: <!-- {ROW} -->{SAID}<!-- end -->."
    assert lines[2:5] == [f"<!-- {TABLE} -->", "", lines[4]]
    assert lines[4].startswith("| arm")
    assert lines[-2:] == ["", "<!-- end -->"]
    assert "99 %" not in page.read_text()


def test_a_pattern_stands_for_the_runs_that_it_matches(tmp_path: Path) -> None:
    pattern = ROW.replace("runs --row", "runs/vgg-[sw][te]* --row")  # standard and weighted
    page = page_with(tmp_path, f"<!-- {pattern} --><!-- end -->")
    assert fill_page.main([str(page)]) == 0
    assert SAID in page.read_text()


def test_filling_twice_changes_nothing_and_a_typed_number_is_found(tmp_path: Path, capsys) -> None:
    page = page_with(tmp_path, f"<!-- {ROW} --><!-- end -->\n")
    assert fill_page.main([str(page)]) == 0
    assert fill_page.main([str(page), "--check"]) == 0
    typed = page.read_text().replace("10.6", "0.6")
    page.write_text(typed)
    capsys.readouterr()
    assert fill_page.main([str(page), "--check"]) == 1
    assert capsys.readouterr().out == f"{page}: not what its commands print now\n"
    assert page.read_text() == typed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- python scripts/compare.py results/nowhere --><!-- end -->", "no run in results/nowhere"),
        ("<!-- python scripts/compare.py results/statistics_example/runs --row x --><!-- end -->", "--row x: there is"),
    ],
)
def test_a_command_that_fails_leaves_the_page_alone(tmp_path: Path, capsys, text: str, message: str) -> None:
    page = page_with(tmp_path, text)
    assert fill_page.main([str(page)]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert page.read_text() == text
