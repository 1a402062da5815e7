"""The tables of a comparison with statistics: for readers, for spreadsheets, for papers."""

import re
import shutil
import subprocess
from io import StringIO

import pandas as pd
import pytest

from wconv.experiment.reports.comparison import Comparison
from wconv.experiment.reports.effects import Effects
from wconv.experiment.reports.pairing import choose_reference
from wconv.experiment.reports.tables import differences, results, to_csv, to_latex, to_markdown
from wconv.experiment.runs.saved_runs import find_runs

STANDARD = [0.70, 0.71, 0.69, 0.72, 0.70, 0.68]
WEIGHTED = [0.72, 0.72, 0.71, 0.73, 0.73, 0.70]  # 2, 1, 2, 1, 3, 2 points above
HOSTILE = r"[x] 50% $\frac{1}{2}$ a_b & c#d ~e^f {g} <h> \input{/etc/passwd} ±"


def both(runs) -> tuple[Comparison, Effects]:
    comparison = Comparison(runs)
    return comparison, Effects(comparison, choose_reference(comparison))


def tables(text: str) -> list[pd.DataFrame]:
    """Return the tables of a Markdown text."""
    found = []
    for block in re.findall(r"(?:^\|.*\n?)+", text, re.M):
        lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.strip().splitlines()]
        found.append(pd.DataFrame(lines[2:], columns=lines[0]))
    return found


def test_markdown_has_the_table_then_the_differences_then_a_sentence_a_row(make_row) -> None:
    text = to_markdown(*both([*make_row("standard", STANDARD), *make_row("weighted", WEIGHTED)]))
    results, differences = tables(text)
    # Mean 70, squares of the deviations 10, deviation sqrt(2); half the interval is 2.5706 * sqrt(2 / 6).
    assert results.loc[0, "test acc (%)"] == "70.00 ± 1.41"
    assert results.loc[0, "95 % CI"] == "68.52 to 71.48"
    (row,) = differences.to_dict("records")
    assert (row["row"], row["seeds"], row["difference (points)"]) == ("weighted", "6", "+1.83")
    assert row["sign-flip p"] == "0.031"  # 2 / 2^6
    assert text.index("| model") < text.index("| row") < text.index("Against conv=standard, paired by seed")
    assert text.endswith("\n- weighted: 1.8 points better (95 % CI 1.0 to 2.6, 6 seeds)")


def test_with_fewer_than_six_seeds_two_tests_are_not_printed_and_it_is_said_why(make_row) -> None:
    text = to_markdown(*both([*make_row("standard", STANDARD[:5]), *make_row("weighted", WEIGHTED[:5])]))
    assert not {"sign-flip p", "bootstrap 95 % CI"} & set(tables(text)[1])
    assert "which cannot reach 0.05 (with 5 seeds, p is 0.0625 at least)" in text


def test_csv_has_all_numbers_unrounded(make_row) -> None:
    runs = [*make_row("standard", STANDARD), *make_row("weighted", WEIGHTED)]
    comparison, effects = both(runs)
    back = pd.read_csv(StringIO(to_csv(comparison, effects))).set_index("conv")
    test = effects.rows[0].judged.test
    assert back.loc["weighted", "difference"] == pytest.approx(11 / 6)
    assert back.loc["weighted", "p"] == pytest.approx(test.p)
    assert back.loc["weighted", "smallest"] == pytest.approx(test.smallest)
    assert back.loc["weighted", "sentence"] == effects.rows[0].sentence
    assert pd.isna(back.loc["standard", "p"])
    assert back.loc["standard", "test/acc 95% high"] == pytest.approx(0.70 + 0.025706 * (2 / 6) ** 0.5, abs=1e-6)


def test_time_memory_parameters_and_macs_stand_beside_accuracy(make_run, tmp_path) -> None:
    for seed, seconds in enumerate((100.0, 300.0)):
        make_run(f"s{seed}", seed=seed, results={"seconds": seconds, "peak_memory_mb": 1000.5, "macs": 19919360})
    make_run("old", conv="weighted")
    (table,) = tables(to_markdown(Comparison(find_runs([tmp_path]))))
    costs = table[["time (s)", "memory (MB)", "parameters", "MACs"]].to_numpy().tolist()
    assert costs == [["200", "1000", "100", "19919360"], ["-", "-", "100", "-"]]


@pytest.mark.parametrize("wrong", ["fast", None, [1], float("inf"), True])
def test_a_cost_that_is_no_number_is_not_known(make_run, tmp_path, wrong) -> None:
    make_run("a", results={"seconds": wrong, "macs": {"a": 1}})
    text = to_markdown(Comparison(find_runs([tmp_path])))
    assert "time (s)" not in text
    assert "MACs" not in text


def test_denoising_is_compared_over_the_images_of_all_sets(make_row) -> None:
    runs = []
    for arm, values in (("standard", [30.0, 30.2, 30.1]), ("weighted", [30.2, 30.4, 30.4])):
        for run, value in zip(make_row(arm, values, "test/psnr"), values, strict=True):
            run.metrics.update({"test/bsd68/psnr": value - 1, "test/set12/psnr": value + 1})
            runs.append(run)
    text = to_markdown(*both(runs))
    assert "test PSNR (dB) over the images of all test sets, margin 0.05 dB" in text
    assert list(tables(text)[0]).count("95 % CI") == 2


def test_latex_is_booktabs_and_takes_every_name_as_a_text(make_row) -> None:
    runs = [*make_row("standard", STANDARD, model=HOSTILE), *make_row("weighted", WEIGHTED, model=HOSTILE)]
    text = to_latex([results(both(runs)[0]), differences(both(runs)[1])])
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert text.count(rule) == 2
    assert r"70.00 $\pm$ 1.41" in text
    assert r"\input{" not in text.replace(r"\textbackslash{}input\{", "")
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    for line in rows:
        bare = re.sub(r"\\(textbackslash|textasciitilde|ensuremath)\b|\\[&%$#_{}^]|\$(\\pm|-)\$|[{}]", "", line[:-2])
        assert not re.search(r"[%$#_^~\\±]", bare), bare
        assert not line.lstrip().startswith("[")
    columns = re.findall(r"\\begin\{tabular\}\{([lr]+)\}", text)
    assert [bare.count("&") for bare in (re.sub(r"\\&", "", line) for line in (rows[0], rows[-1]))] == [
        len(some) - 1 for some in columns
    ]


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="there is no pdflatex here")
def test_latex_compiles(make_row, tmp_path) -> None:
    runs = [*make_row("standard", STANDARD, model=HOSTILE), *make_row("weighted", WEIGHTED, model=HOSTILE)]
    page = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n%s\\end{document}\n"
    (tmp_path / "page.tex").write_text(page % to_latex([results(both(runs)[0]), differences(both(runs)[1])]))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]


def test_a_key_that_is_called_as_a_column_keeps_its_own(make_run, tmp_path) -> None:
    for place, value in enumerate((1, 2)):
        make_run(f"r{place}", config={"seconds": value, "model.macs": value, "n": value}, results={"macs": 5})
    table = Comparison(find_runs([tmp_path])).table
    assert table["config.seconds"].tolist() == table["model.macs"].tolist() == table["config.n"].tolist() == [1, 2]
    assert table["macs"].tolist() == [5, 5]
