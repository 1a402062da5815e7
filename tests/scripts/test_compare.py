import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from scripts import compare

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "compare.py"
MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    def make(
        name: str,
        conv: str = "standard",
        seed: int = 0,
        metrics: Mapping[str, float] | None = None,
        status: str = "completed",
        task: str = "classification",
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        names = {"model": "vgg", "conv": conv, "init": "kaiming"}
        config = {"seed": seed} | {group: {"name": value} for group, value in (names | {"task": task}).items()}
        (folder / "config.yaml").write_text(json.dumps(config))
        more = {"metrics": metrics or {"test/acc": 0.6694}, "parameters": 100, "layers": [], "density": {}}
        (folder / "results.json").write_text(json.dumps({"status": status, "seed": seed} | names | more))
        (folder / "metrics.csv").write_text("epoch,val/acc,val/loss\n0,0.3,2.0\n1,0.6,1.0\n")
        return folder

    return make


def test_csv_round_trip(tmp_path: Path, make_run: MakeRun) -> None:
    values = [0.1234567890123, 0.3333333333333]
    for seed, value in enumerate(values):
        make_run(f"runs/w{seed}", "weighted", seed, {"test/acc": value, "test/loss": 1.5})
    make_run("runs/s", metrics={"test/acc": 0.2, "test/loss": 2.5})

    assert compare.main([str(tmp_path / "runs"), "--csv", str(tmp_path / "new" / "t.csv")]) == 0

    back = pd.read_csv(tmp_path / "new" / "t.csv").set_index("conv")
    assert back.loc["weighted", "test/acc mean"] == pytest.approx(statistics.fmean(values), rel=1e-14)
    assert back.loc["weighted", "test/acc std"] == pytest.approx(statistics.stdev(values), rel=1e-14)
    assert pd.isna(back.loc["standard", "test/acc std"])
    assert back.loc["standard", "test/loss mean"] == 2.5
    assert back["parameters"].tolist() == [100, 100]


def test_markdown_is_printed_and_written(tmp_path: Path, make_run: MakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_run("a")

    assert compare.main([str(folder), "--markdown", str(tmp_path / "t.md")]) == 0

    printed = capsys.readouterr().out
    assert printed.startswith("| model")
    assert "test acc (%)" in printed
    assert (tmp_path / "t.md").read_text() == printed


def test_picture_is_written(tmp_path: Path, make_run: MakeRun) -> None:
    folder = make_run("a")

    assert compare.main([str(folder), "--picture", str(tmp_path / "p.png")]) == 0

    with Image.open(tmp_path / "p.png") as image:
        assert min(image.size) > 400


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("nowhere", "is no folder; name a run folder"),
        ("empty", "holds no results.json"),
        ("failed", "no completed run"),
    ],
)
def test_bad_paths_exit_2(path: str, reason: str, tmp_path: Path, make_run: MakeRun, capsys: Any) -> None:
    (tmp_path / "empty").mkdir()
    make_run("failed", status="failed")

    assert compare.main([str(tmp_path / path)]) == 2

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("compare: ")
    assert reason in captured.err
    assert captured.err.count("\n") == 1


def test_runs_of_several_tasks_have_no_table_in_common(tmp_path: Path, make_run: MakeRun, capsys: Any) -> None:
    make_run("a")
    make_run("b", task="denoising")
    assert compare.main([str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert "runs of classification and denoising have no table in common" in message
    assert message.endswith("; add --where task=classification or --where task=denoising\n")
    assert compare.main([str(tmp_path), "--where", "task=denoising"]) == 0


@pytest.mark.parametrize("option", ["--markdown", "--csv", "--picture"])
def test_unwritable_output_exits_2(option: str, tmp_path: Path, make_run: MakeRun, capsys: Any) -> None:
    folder = make_run("a")
    below_a_file = folder / "results.json" / "table"

    assert compare.main([str(folder), option, str(below_a_file)]) == 2

    assert f"{below_a_file} cannot be written" in capsys.readouterr().err


def test_works_from_any_directory(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("runs/a")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}

    command = [sys.executable, str(SCRIPT), "runs"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    wrong = subprocess.run([*command, "none"], cwd=tmp_path, env=environment, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert "66.94" in done.stdout
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "Traceback" not in wrong.stderr
