"""Run folders whose texts were made to attack whoever looks at a table or a figure of them."""

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from wconv.experiment.common.text import escape_control_characters, escape_spreadsheet_formula
from wconv.experiment.inference.evaluate import to_markdown as evaluated
from wconv.experiment.reports.comparison import Comparison
from wconv.experiment.reports.curves import draw_comparison, draw_run
from wconv.experiment.reports.effects import find_effects
from wconv.experiment.reports.tables import to_csv, to_markdown
from wconv.experiment.runs.saved_runs import find_runs, read_run

SCRIPT = "<script>alert(1)</script>|`x`\n\x1b]0;owned\x07\u202e[a](javascript:alert(1)) $\\frac{1"
FORMULA = "=cmd|' /C calc'!A0"


@pytest.fixture
def script_run(make_run) -> Path:
    """Return a run with such texts wherever there is room for one."""
    metrics = {"test/<b>|x/psnr": 20.0, "a/b/c": 1.0, "test/<b>/d": 2, "test/psnr": 20.0}
    model = {"name": SCRIPT, "_target_": SCRIPT, SCRIPT: SCRIPT}
    config = {"model": model, FORMULA: FORMULA}
    folder = make_run("<b>", metrics=metrics, config=config, results={"model": SCRIPT, "init": FORMULA})
    (folder / "metrics.csv").write_text("epoch,val/psnr,val/loss\n0,20,1\n1,21,0.5\n")
    return folder


def test_a_table_has_texts_and_nothing_else(script_run, make_run):
    make_run("<i>", results={"status": f"failed {SCRIPT}", "error": SCRIPT})
    other = make_run("plain", metrics={"test/psnr": 21.0})
    text = to_markdown(Comparison(find_runs([script_run.parent])))
    assert "<" not in text
    assert "a](" not in text
    assert "`" not in text.replace("\\`", "")
    assert not any(char in text for char in "\x1b\x07\u202e")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 4
    assert len({row.replace("\\|", "").count("|") for row in rows}) == 1
    notes = [line for line in text.splitlines() if line.startswith("- ")]
    assert len(rows) + len(notes) + 1 == len(text.splitlines())
    assert str(other) not in text


def test_the_sentences_have_texts_and_nothing_else(make_run, tmp_path):
    for seed in (0, 1):
        for arm, value in ((SCRIPT, 20.0 + seed), (FORMULA, 21.0 + 2 * seed)):
            make_run(f"{len(arm)}-{seed}", conv=arm, seed=seed, metrics={"test/psnr": value})
    comparison = Comparison(find_runs([tmp_path]))
    text = to_markdown(comparison, effects := find_effects(comparison, by="conv"))
    assert "undecided" in text
    assert "<" not in text
    assert "a](" not in text
    assert not any(char in text for char in "\x1b\x07\u202e")
    assert f",{FORMULA}" not in to_csv(comparison, effects)


def test_a_csv_file_has_no_formula(script_run):
    text = to_csv(Comparison([read_run(script_run)]))
    assert f"'{FORMULA}" in text
    assert f",{FORMULA}" not in text
    assert [escape_spreadsheet_formula(value) for value in ("-", -1.5, "k3 0.7", "+1")] == ["-", -1.5, "k3 0.7", "'+1"]


def test_a_picture_is_drawn(script_run, make_run, tmp_path):
    other = make_run("plain", metrics={"test/psnr": 21.0})
    (other / "metrics.csv").write_text((script_run / "metrics.csv").read_text())
    draw_comparison(Comparison([read_run(script_run), read_run(other)]), tmp_path / "curves.png")
    draw_run(read_run(script_run), tmp_path / "run.png")
    assert [Image.open(tmp_path / name).format for name in ("curves.png", "run.png")] == ["PNG", "PNG"]


def test_the_name_of_a_test_set_is_a_text_in_the_table_of_an_evaluation():
    import pandas as pd

    row = {"set": SCRIPT, "sigma": 25.0, "images": 1, "noisy_psnr": 20.0, "psnr": 28.0, "ssim": 0.8, "tiled": False}
    text = evaluated(pd.DataFrame([row]))
    assert len(text.splitlines()) == 3
    assert "<" not in text


def test_what_nobody_would_see_is_written_out():
    assert escape_control_characters("a\x1b[2J\n\u202eb é") == "a\\x1b[2J\\n\\u202eb é"


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        '{"status": "completed", "seed": 1e400, "metrics": {}, "layers": [], "conv": 1, "density": {}}',
        '{"status": "completed", "seed": 0, "metrics": [], "layers": 3, "conv": 1, "density": 3}',
        "[]",
    ],
    ids=["deep", "infinite", "of other kinds", "a list"],
)
def test_results_that_are_none(make_run, content):
    folder = make_run("run")
    (folder / "results.json").write_text(content)
    assert read_run(folder).status == "unreadable"


@pytest.mark.parametrize(
    "density", [[[0.5] * 10**5] * 2, [[0.5]] * 9, [[float("nan")]] * 2], ids=["long", "deep", "nan"]
)
def test_a_density_that_no_layer_has(make_run, density):
    layers = [{"name": "0", "kernel_size": [3, 3], "density": density}]
    found = read_run(make_run("run", conv="weighted", results={"layers": layers}))
    assert "a density that no layer can have" in found.reason


def test_metrics_that_are_no_numbers(script_run, tmp_path):
    (script_run / "metrics.csv").write_text("epoch,val/psnr,val/loss\n0,=1+1,x\n")
    with pytest.raises(ValueError, match="holds no epochs to draw"):
        draw_run(read_run(script_run), tmp_path / "curves.png")


def test_links_in_circles_and_out_of_a_run(make_run, tmp_path):
    folder = make_run("all/run")
    other = make_run("other/run", seed=1)
    for name in "abcdefghij":
        (tmp_path / "all" / name).symlink_to(tmp_path / "all")
    (tmp_path / "all" / "elsewhere").symlink_to(other.parent)
    assert {run.folder.resolve() for run in find_runs([tmp_path / "all"])} == {folder, other}
    (folder / "out").symlink_to(other.parent)
    assert {run.status for run in find_runs([folder])} == {"unreadable"}


def test_a_pipe_is_not_read(make_run):
    folder = make_run("run")
    (folder / "metrics.csv").unlink(missing_ok=True)
    os.mkfifo(folder / "metrics.csv")
    assert "neither a file nor a folder" in read_run(folder).reason
    assert json.loads((folder / "results.json").read_text())["status"] == "completed"
