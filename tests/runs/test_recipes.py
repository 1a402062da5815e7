"""The recipes of CONTRIBUTING.md: followed to the letter in a copy of the checkout, what they add works end to end."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.tiny import CLASSIFIER, DENOISER, command_line

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("configs", "datamodules", "models", "scripts", "slurm", "wconv", "train.py")
STEP = re.compile(r"```(?:python|yaml)\n# (new file|at the end of|in ARMS of) (\S+)\n(.*?)```", re.S)


def follow(recipe: str, copy: Path) -> list[str]:
    """Do what a section says; return the files that it touches."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    section = text.split(f"\n## {recipe}\n")[1].split("\n## ")[0]
    touched = []
    for where, name, code in STEP.findall(section):
        file = copy / name
        if where == "new file":
            assert not file.exists()
            file.write_text(code)
        elif where == "at the end of":
            file.write_text(f"{file.read_text()}\n\n{code}")
        else:
            before, after = re.split(r"(?<=\n)(?=\)\n)", file.read_text(), maxsplit=1)  # the end of the first tuple
            assert "ARMS = (" in before
            file.write_text(f"{before}    {code.rstrip()},\n{after}")
        touched.append(name)
    return touched


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    folder.mkdir()
    for part in PARTS:
        path = ROOT / part
        if path.is_dir():
            shutil.copytree(path, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, folder)
    return folder


def call(copy: Path, program: str, *arguments: object) -> str:
    environment = os.environ | {"PYTHONPATH": str(copy)}
    command = [sys.executable, copy / program, *arguments]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def train(copy: Path, *words: str) -> Path:
    return Path(call(copy, "train.py", *words, "debug=fast").splitlines()[-1])


def tiny(base: dict[str, str], *without: str, **changes: str) -> list[str]:
    kept = {key: value for key, value in base.items() if not key.startswith(without or ("-",))}
    return command_line(kept, *(f"{key.replace('__', '.')}={value}" for key, value in changes.items()))


def test_a_backbone(copy):
    assert follow("A backbone", copy) == ["models/tinynet.py", "configs/model/tinynet.yaml"]
    folder = train(copy, *tiny(CLASSIFIER, "model.", model="tinynet", conv="weighted"))
    assert folder.name.startswith("tinynet-weighted-s0-")
    assert json.loads((folder / "results.json").read_text())["layers"][0]["density"] == [[0.7], [0.7]]


def test_a_denoiser_trains_and_cleans_pictures(copy, tmp_path):
    assert follow("A denoiser", copy) == ["models/shallow.py", "configs/model/shallow.yaml"]
    folder = train(copy, *tiny(DENOISER, "model.", model="shallow", conv="weighted", datamodule__channels="1"))
    Image.new("L", (40, 30), 90).save(tmp_path / "photo.png")
    call(copy, "scripts/denoise.py", folder, tmp_path / "photo.png", "-o", tmp_path / "cleaned.png")
    assert Image.open(tmp_path / "cleaned.png").size == (40, 30)
    call(copy, "scripts/evaluate.py", folder, "--sigma", "25")
    assert "sigma25" in (folder / "evaluation.json").read_text()


def test_a_data_set(copy):
    assert follow("A data set", copy) == ["datamodules/squares.py", "configs/datamodule/squares.yaml"]
    folder = train(copy, *tiny(CLASSIFIER, "datamodule.", datamodule="squares"))
    results = json.loads((folder / "results.json").read_text())
    assert results["data"] == {"dataset": "squares", "version": 1}
    assert set(results["metrics"]) == {"test/acc", "test/loss", "val/acc", "val/loss"}


def test_an_arm_trains_and_has_its_colour(copy, tmp_path):
    touched = follow("An arm", copy)
    assert touched == [
        "wconv/experiment/tasks/arms.py",
        "configs/conv/halved.yaml",
        "wconv/experiment/runs/arm_styles.py",
    ]
    folders = [train(copy, *tiny(CLASSIFIER, conv=arm)) for arm in ("standard", "halved")]
    assert [folder.name.split("-")[1] for folder in folders] == ["standard", "halved"]
    table = call(copy, "scripts/compare.py", *folders, "--picture", tmp_path / "curves.png")
    rows = [line.split("|")[2].strip() for line in table.splitlines() if line.startswith("| vgg")]
    assert rows == ["standard", "halved"]
    pixels = {pixel for _, pixel in Image.open(tmp_path / "curves.png").convert("RGB").getcolors(2**24)}
    assert (0xBC, 0xBD, 0x22) in pixels
