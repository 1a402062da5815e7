"""What a run says of the code that it was made with."""

import subprocess
from pathlib import Path

import pytest

from wconv.experiment.runs import provenance


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch) -> Path:
    def git(*words: str) -> None:
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True, capture_output=True)

    (tmp_path / "train.py").write_text("first\n")
    git("init")
    git("add", ".")
    git("-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-m", "first")
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "changed"), [("results/study/runs/a/results.json", False), ("models/new.py", True), ("train.py", True)]
)
def test_code_that_was_changed_is_told_from_runs_that_were_left(checkout: Path, file: str, changed: bool) -> None:
    (checkout / file).parent.mkdir(parents=True, exist_ok=True)
    (checkout / file).write_text("other\n")
    assert provenance.provenance.__wrapped__()["git"]["changed"] is changed
