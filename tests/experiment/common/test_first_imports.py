"""PyTorch is imported without garbage collections."""

import gc
import subprocess
import sys

import pytest

from wconv.experiment.common.checkout import ROOT
from wconv.experiment.common.first_imports import without_collections


@pytest.mark.parametrize(
    "words",
    [
        ["train.py", "model=vgg", "datamodule=cifar100", "paths.data_dir=nowhere"],
        ["denoise.py", "nowhere", "nothing.png", "-o", "out"],
        ["evaluate.py", "nowhere"],
        ["export.py", "nowhere", "-o", "out.onnx"],
        ["sweep.py", "one.yaml", "--list", "paths.output_dir=runs"],
    ],
    ids=lambda words: words[0],
)
def test_a_program_leaves_pytorch_out_of_collections(tmp_path, words):
    (tmp_path / "one.yaml").write_text("overrides: [paths.data_dir=nowhere]\nruns: [[seed=0]]\n")
    code = f"""
import gc, sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "scripts")!r}]
sys.argv = {words!r}
import {words[0].removesuffix(".py")} as program
assert "torch" not in sys.modules
code = program.main()
print("torch" in sys.modules, gc.isenabled(), gc.get_freeze_count() > 100_000)
sys.exit(code)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == (0 if "--list" in words else 2), done.stderr
    assert done.stdout.splitlines()[-1] == "True True True"


def test_only_the_first_import_counts(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch")
    before = gc.get_freeze_count()
    try:
        with without_collections():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > before
    finally:
        monkeypatch.undo()
    frozen = gc.get_freeze_count()
    with without_collections():
        assert gc.isenabled()
    assert gc.get_freeze_count() <= frozen
