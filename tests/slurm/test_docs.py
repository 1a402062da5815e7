"""Every command of docs/leonardo.md that is said to be tried, as it stands."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.slurm.conftest import ROOT, ClusterSweep

PAGE = (ROOT / "docs" / "leonardo.md").read_text()
LINES = [line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.S) for line in block.splitlines()]


def test_the_commands_do_what_the_page_says(tmp_path):
    """In a copy of the checkout, because the runs land in its folder runs."""
    for name in ("configs", "datamodules", "models", "scripts", "slurm", "wconv"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "train.py", tmp_path)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "PATH": path}
    sweep = ClusterSweep("smoke", tmp_path / "runs" / "smoke")
    said = {}
    for line in (line for line in LINES if line.endswith("# tried")):
        done = subprocess.run(
            ["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        said[line.partition("#")[0].strip()] = done.stdout
        sweep.until_over()
    assert len(said) >= 9
    last = {words.split()[-1]: text for words, text in said.items()}
    assert "smoke: ready to be submitted" in last["--probe"]
    assert "submitted 4 runs" in last["--submit"]
    assert "4 runs: 4 done" in last["--status"]
    assert "| vgg     | weighted |" in last["runs/smoke"]
    assert "nothing to start: 4 done" in last["failed"]


def test_every_command_says_whether_it_was_run():
    assert LINES
    for line in LINES:
        assert re.search(r"# (tried$|not run here|run on other machines, not on Leonardo)", line), line
