"""config.yaml is read as OmegaConf reads it, though by a parser in C."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from wconv.experiment.runs.run_files import read_config
from wconv.experiment.runs.saved_runs import read_run

ROOT = Path(__file__).resolve().parents[3]
COMMITTED = sorted(ROOT.glob("results/*/runs/*/config.yaml"))
SCALARS = "[1e-3, 1E5, -2.5e+3, .5e1, 1_0.5, 1.0e-05, 1.e3, e5, 1e, 0x1F, 012, 1:30, 2024-01-01, .inf, on, ~, '1e-3']"


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.parent.name)
def test_committed_configurations(path: Path) -> None:
    assert read_config(path.parent) == OmegaConf.to_container(OmegaConf.load(path))


def test_numbers_dates_and_words(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(f"a: {SCALARS}\n")
    read, expected = read_config(tmp_path), OmegaConf.to_container(OmegaConf.create(f"a: {SCALARS}"))
    assert read == expected
    assert list(map(type, read["a"])) == list(map(type, expected["a"]))


def test_a_key_that_stands_twice(make_run) -> None:
    folder = make_run("run")
    (folder / "config.yaml").write_text("seed: 0\nmodel:\n  name: vgg\n  name: resnet\n")
    assert read_run(folder).reason == "config.yaml has a key twice, below line 3"
