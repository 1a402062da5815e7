"""Every committed run is found again by the command on its page."""

import json
import re
import shlex
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import open_dict

from wconv.experiment.runs.run import Run
from wconv.experiment.runs.run_files import read_results

ROOT = Path(__file__).resolve().parents[2]
# Those of the study lie where its sweeps put them, by task, and its sweeps find them.
RUNS = sorted(file.parent for file in ROOT.glob("results/*/runs/*/results.json"))


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the overrides of every run that the page has a command for."""
    for block in re.findall(r"```bash\n(.*?)```", page.read_text(), re.S):
        for line in block.splitlines():
            if "train.py" in line:
                words = shlex.split(line)
                overrides = [word for word in words[words.index("train.py") + 1 :] if word != "-m"]
                keys, values = zip(*(word.split("=", 1) for word in overrides), strict=True)
                for cell in product(*(value.split(",") for value in values)):
                    yield [f"{key}={value}" for key, value in zip(keys, cell, strict=True)]


@pytest.fixture(scope="module")
def found() -> dict[Path, set[str]]:
    """The names of the folders that the commands of each page lead to, with the data that its runs were made with."""
    names: dict[Path, set[str]] = {}
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        for results in {folder.parents[1] for folder in RUNS}:
            data = read_results(next(results.glob("runs/*")))["data"]
            configs = [compose("train", overrides=line) for line in commands(results / "README.md")]
            names[results] = {Run(config, data, Path("nowhere")).directory.name for config in configs}
    return names


@pytest.mark.parametrize("folder", RUNS, ids=lambda folder: f"{folder.parents[1].name}/{folder.name}")
def test_a_committed_run_is_found_by_the_command_on_its_page(folder, found):
    assert folder.name in found[folder.parents[1]]
    assert json.loads((folder / "results.json").read_text())["config_hash"].startswith(folder.name[-8:])


def test_no_command_on_a_page_leads_to_a_run_that_is_not_committed(found):
    for results, names in found.items():
        assert names == {folder.name for folder in results.glob("runs/*")}


def test_code_that_grows_and_moves_leads_to_the_same_folder():
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        config = compose("train")
    before = Run(config, {"dataset": "cifar100"}, Path("nowhere")).directory
    with open_dict(config):
        config.model.stochastic_depth = 0.0
        config.compile = False
        config.trainer.new_plugin = None
        config.model._target_ = "models.classifiers.vgg.VGG"
        config.optimizer._target_ = "torch.optim.sgd.SGD"
        config.datamodule.cache_dir = "elsewhere"
    assert Run(config, {"dataset": "cifar100"}, Path("nowhere")).directory == before
    config.model.stochastic_depth = 0.1
    assert Run(config, {"dataset": "cifar100"}, Path("nowhere")).directory != before
