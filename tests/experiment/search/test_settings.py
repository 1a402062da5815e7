"""From the words of a command line to a search: what is wrong is refused with advice, and which folder it has."""

import re

import pytest
import yaml

from wconv.experiment.command_line.arguments import parse_command_line
from wconv.experiment.common.checkout import CONFIGS
from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.search.settings import load_settings

QUICKSTART = "experiment=quickstart"  # drawn images: no data on the disk
METRICS = "val/acc, val/acc_top5, val/loss"
METHODS = "search=direct_l, search=gradient, search=grid, search=optuna, search=walk"
KEYS = "configs/search/grid.yaml and direct_l.yaml list the keys"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("search.bounds.k3=[[1.5,0.5]]", "[1.5, 0.5] is upside down; the lowest value comes first, then a higher one"),
        ("search.bounds.k3=[[0.7,0.7]]", "[0.7, 0.7] leaves one value, with 3 digits, or none; the lowest value"),
        ("search.bounds.k3=[[0.70001,0.70002]]", "leaves one value, with 3 digits, or none; the lowest value comes"),
        ("search.bounds.k3=[[0.5,nan]]", "expected finite numbers, such as [[0.5, 1.5]]"),
        ("search.bounds.k3=[[0.5,1,2]]", "expected a pair of numbers for each coefficient, such as [[0.5, 1.5]]"),
        ("search.bounds.k3=wide", "expected a pair of numbers for each coefficient, such as [[0.5, 1.5]]"),
        ("search.bounds.k5=[[0.1,1],[0.5,1]]", "the network has no such kernels to weight; it has k3"),
        ("search.bounds.k9=[[0.1,1]]", f"unknown key 'search.bounds.k9': did you mean 'search.bounds.k7'?; {KEYS}"),
        ("search.bounds.k3=[[0.5,1]] conv.density.k3=null", "contradict each other; drop one"),
        ("conv.density.k3=null", "of all kernels of the network are left standard; drop conv.density.k3=null"),
        ("model=dncnn task=classification", "does not go with task=classification; the model brings its task along"),
        ("search.metric=val/psnr", f"task=classification has {METRICS}; choose one"),
        ("search.metric=3", f"task=classification has {METRICS}; choose one"),
        ("search.metric=test/acc", f"a search sees the validation set alone; choose {METRICS}"),
        ("model=dncnn datamodule=synthetic_images search.metric=val/acc", "task=denoising has val/psnr; choose one"),
        ("seed=3", "seed=3: the seeds of a search are search.seeds=[3]"),
        ("+seed=3", "the seeds of a search are search.seeds=[3]"),
        ("force=true", "a search goes on from the runs that are there; remove the folders to start over"),
        ("conv=standard", "the arm and its density are what the search finds; conv.density.k5=null keeps kernels"),
        ("conv.density.k3=[0.7]", "the arm and its density are what the search finds; conv.density.k5=null keeps"),
        ("++conv.density.k3=[0.7]", "the arm and its density are what the search finds"),
        ("conv.layer_density={features.0:[0.7]}", "the arm and its density are what the search finds"),
        ("search.evaluation=4", f"unknown key 'search.evaluation': did you mean 'search.evaluations'?; {KEYS}"),
        ("+search.evaluation=4", f"unknown key 'search.evaluation': did you mean 'search.evaluations'?; {KEYS}"),
        ("search.step=0.1", "unknown key 'search.step'"),  # of another method
        ("search.name=walk", f"search.name follows from the choice made for 'search' and cannot be set; {KEYS}"),
        ("search.points=1", "expected a whole number from 2 to 1000"),
        ("search.evaluations=0", "expected a whole number from 1, or null"),
        ("search.scope=network", "search.scope=network: expected global, stage or layer"),
        ("search.seeds=[0,0]", "expected a list of different seeds, such as [0, 1, 2]"),
        ("search.seeds=[]", "expected a list of different seeds, such as [0, 1, 2]"),
        ("search.confirm_seeds=[]", "expected null, or a list of different seeds, such as [0, 1, 2]"),
        ("search.seeds=[4,5] search.confirm_seeds=[6,5]", "5 is one of search.seeds; a seed that confirms is fresh"),
        ("search=walk", f"search=grid search=walk: choose one of {METHODS}"),
        ("-m", "a search takes the arguments of a single run, without options and grids"),
        ("optimizer.lr=-1", "optimizer.lr=-1: expected"),  # of the trainings
    ],
)
def test_what_is_wrong_is_refused_with_advice(words, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_settings([QUICKSTART, "search=grid", *words.split()])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", f"no search= was given: choose one of {METHODS}"),
        ("search=gird", f"search=gird: choose one of {METHODS}"),
        ("search=", f"search=: choose one of {METHODS}"),
        ("search.evaluations=3", f"no search= was given: choose one of {METHODS}"),
        ("search=optuna search.evaluations=null", "search=optuna does not end by itself; give it a number"),
        ("search=walk search.step=1", "search.step=1: expected a number between 0 and 1"),
        ("search=walk search.start=best", "expected published or standard"),
    ],
)
def test_a_method_has_to_be_chosen(words, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_settings([QUICKSTART, *words.split()])


def folder(*words: str) -> str:
    return load_settings([QUICKSTART, "search=direct_l", *words]).folder.name


def test_only_what_changes_the_history_changes_the_folder():
    same = folder()
    assert same.startswith("vgg-direct_l-")
    assert folder("search.evaluations=7", "search.confirm_seeds=[7,8]", "trainer.enable_progress_bar=true") == same
    assert folder("search.bounds.k3=[[0.5,1.5]]", "search.metric=val/acc") == same  # what null stands for
    changed = [
        folder("search.bounds.k3=[[0.5,1.4]]"),
        folder("trainer.max_epochs=9"),
        folder("search.seeds=[0,1]"),
        folder("search.metric=val/loss"),
        folder("search.scope=stage"),
    ]
    assert len({same, *changed}) == 1 + len(changed)


def test_the_content_is_plain():
    content = load_settings([QUICKSTART, "search=optuna", "search.bounds.k3=[[0.5,1.5]]"]).content
    assert yaml.safe_load(yaml.safe_dump(content)) == content
    assert content["search"]["bounds"] == {"k3[0]": [0.5, 1.5]}
    assert "seed" not in content["config"]


def test_the_defaults():
    settings = load_settings([QUICKSTART, "search=direct_l"])
    assert settings.space.bounds == ((0.5, 1.5),)  # of the authors
    assert settings.references == ((1.0,), (0.7,))
    assert (settings.metric_name, settings.sign) == ("val/acc", -1)
    assert (settings.seeds, settings.fresh_seeds) == ((0, 1, 2), (3, 4, 5, 6, 7))
    assert settings.evaluations == 30
    assert settings.folder.parent == settings.output_dir / "searches"


def test_less_loss_is_better():
    assert load_settings([QUICKSTART, "search=walk", "search.metric=val/loss"]).sign == 1


def test_a_training_is_the_command_with_its_density():
    settings = load_settings([QUICKSTART, "search=grid", "model.kernel_size=5", "conv.density.k3=null"])
    quiet = "trainer.enable_progress_bar=false"
    common = [QUICKSTART, "model.kernel_size=5", "conv.density.k3=null", quiet, "conv=weighted"]
    assert settings.training((0.25, 0.9), 4) == [*common, "conv.density.k5=[0.25,0.9]", "seed=4"]
    config = parse_command_line(settings.training((0.25, 0.9), 4), CONFIGS).config
    assert (config.seed, config.conv.density.k5) == (4, [0.25, 0.9])


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_ones_are_trained_as_the_standard_convolution(scope):
    settings = load_settings([QUICKSTART, "search=grid", "conv.density.k5=null", f"search.scope={scope}"])
    words = settings.training((1.0,) * len(settings.space.names), 2)
    assert words == [QUICKSTART, "trainer.enable_progress_bar=false", "conv=standard", "seed=2"]
    assert parse_command_line(words, CONFIGS).config.conv.name == "standard"


def test_people_read_densities():
    settings = load_settings([QUICKSTART, "search=grid"])
    described = [settings.describe(point) for point in (*settings.references, (0.85,))]
    assert described == ["the standard convolution", "the published density", "k3[0]=0.85"]
