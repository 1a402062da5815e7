"""The pages can be believed: their Python runs, their commands are understood, their tables can be made again."""

import re
import shlex
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from wconv.experiment.compare import markdown
from wconv.experiment.comparison import Comparison
from wconv.experiment.overrides import checked
from wconv.experiment.saved import find_runs

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("results/*/README.md")),
]
TABLES = sorted(ROOT.glob("results/*/table.md"))


def blocks(language: str) -> list[str]:
    return [block for page in PAGES for block in re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.S)]


@pytest.mark.parametrize("code", blocks("python"))
def test_python_runs(code):
    exec(compile(code, "README.md", "exec"), {})


COMMANDS = [line for block in blocks("bash") for line in block.splitlines() if "train.py" in line]


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_are_understood(line):
    words = shlex.split(line, comments=True)
    assert checked(words[words.index("train.py") + 1 :], ROOT / "configs")


def test_there_are_commands_and_tables_to_test():
    assert len(COMMANDS) >= 8
    assert TABLES


@pytest.mark.parametrize("links", PAGES, ids=lambda page: page.parent.name)
def test_links_lead_somewhere(links):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", links.read_text()):
        assert (links.parent / target).exists(), target


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.parent.name)
def test_a_committed_table_is_made_again_from_its_runs(path):
    assert markdown(Comparison(find_runs([path.parent / "runs"]))) + "\n" == path.read_text()


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.parent.name)
def test_pages_show_the_committed_table(path):
    rows = [line for line in path.read_text().splitlines() if line.startswith("|")]
    assert "\n".join(rows) in (path.parent / "README.md").read_text()


EXPERIMENTS_OF = ("cifar100_small", "denoise_small", "denoise_init")
RUNS = [folder for name in EXPERIMENTS_OF for folder in sorted(ROOT.glob(f"results/{name}/runs/*"))]


@pytest.mark.parametrize("folder", RUNS, ids=lambda path: path.name)
def test_the_named_commands_are_still_those_of_the_committed_runs(folder):
    """Defaults may change; what an experiment stands for may not."""
    made = OmegaConf.load(folder / "config.yaml")
    name = folder.parents[1].name + {"resnet": "_resnet", "nafnet": "_nafnet"}.get(made.model.name, "")
    name += "" if made.model.get("batch_norm", True) else "_plain"
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        choices = [f"experiment={name}", f"conv={made.conv.name}", f"init={made.init.name}"]
        now = compose("train", overrides=choices)
    for part in ("seed", "model", "conv", "init", "datamodule", "task", "optimizer", "scheduler", "paths.output_dir"):
        assert OmegaConf.select(now, part) == OmegaConf.select(made, part), part
    assert (now.trainer.max_epochs, now.trainer.precision) == (made.trainer.max_epochs, made.trainer.precision)
