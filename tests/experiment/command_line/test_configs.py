"""Every choice of every group composes, and the keys that the design promises are there."""

import inspect
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
import yaml
from hydra import compose, initialize_config_dir
from hydra.utils import get_class
from omegaconf import OmegaConf

from wconv.experiment.command_line.arguments import parse_command_line
from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.common.value_rules import check_value, check_values
from wconv.experiment.tasks.build_task import check_compatibility
from wconv.experiment.tasks.instantiate import instantiate_group
from wconv.experiment.tasks.network import build_model

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
CHOICES = [
    (folder.name, str(file.relative_to(folder).with_suffix("")))
    for folder in sorted(CONFIGS.iterdir())
    if folder.is_dir() and folder.name not in ("hydra", "search", "sweep")
    for file in sorted(folder.rglob("*.yaml"))
]
PROMISED = [
    "seed",
    "force",
    "fast",
    "channels_last",
    "compile",
    "paths.data_dir",
    "paths.output_dir",
    "datamodule.batch_size",
    "datamodule.train_subset",
    "datamodule.val_size",
    "trainer.max_epochs",
    "trainer.accelerator",
    "trainer.devices",
    "trainer.precision",
    "optimizer.lr",
    "model.depth",
    "model.width",
    "model.kernel_size",
    "model.batch_norm",
]
PROMISED_FOR_DENOISING = [
    "datamodule.batch_size",
    "datamodule.train_subset",
    "datamodule.val_size",
    "datamodule.channels",
    "datamodule.train_dir",
    "datamodule.val_dir",
    "datamodule.test_dirs",
    "datamodule.patches_per_epoch",
    "task.sigma",
    "task.test_seed",
    "task.clip_noisy",
    "model.depth",
    "model.width",
    "model.kernel_size",
    "model.batch_norm",
]
# What train.py decides: where files go and who is told of the progress.
OWN = {
    "logger",
    "callbacks",
    "plugins",
    "default_root_dir",
    "enable_checkpointing",
    "fast_dev_run",
    "overfit_batches",  # Lightning would put a sampler of its own in
    "barebones",
    "model_registry",
}


def composed(*overrides: str):
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("train", overrides=list(overrides))


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_every_choice_composes_to_values_that_are_allowed(group, choice):
    config = composed(f"{group}={choice}")
    assert OmegaConf.missing_keys(config) == set()
    check_values(config)
    OmegaConf.to_container(config, resolve=True)


@pytest.mark.parametrize("group", ["optimizer", "scheduler"])
def test_every_optimizer_and_schedule_can_be_made(group):
    parameter = torch.nn.Parameter(torch.zeros(3))
    for _, choice in (entry for entry in CHOICES if entry[0] == group):
        config = composed(f"{group}={choice}")
        optimizer = instantiate_group(config.optimizer)([parameter])
        schedule = instantiate_group(config.scheduler)(optimizer, total_steps=10)
        assert schedule.get_last_lr()[0] >= 0


@pytest.mark.parametrize("group", sorted({group for group, _ in CHOICES}))
def test_what_makes_an_object_has_a_name_that_outlives_its_class(group):
    """The folder of a run is called by it; see identity.py."""
    for _, choice in (entry for entry in CHOICES if entry[0] == group):
        content = composed(f"{group}={choice}").get(group)
        if group != "trainer" and OmegaConf.is_dict(content) and "_target_" in content:
            assert content.name


@pytest.mark.parametrize("key", PROMISED)
def test_the_promised_keys_are_there(key):
    missing = object()
    assert OmegaConf.select(composed(), key, default=missing) is not missing


@pytest.mark.parametrize("key", PROMISED_FOR_DENOISING)
def test_the_promised_keys_of_denoising_are_there(key):
    missing = object()
    assert OmegaConf.select(composed("model=dncnn", "datamodule=image_folder"), key, default=missing) is not missing


@pytest.mark.parametrize("model", ["dncnn", "nafnet"])
def test_a_denoiser_brings_what_goes_with_it_and_the_command_line_wins(model):
    config = composed(f"model={model}")
    assert (config.task.name, config.datamodule.name, config.init.name) == ("denoising", "div2k", "pytorch")
    assert (config.task.sigma, config.task.clip_noisy, config.datamodule.patches_per_epoch) == (25, False, 16000)
    config = composed(f"model={model}", "datamodule=synthetic_images", "init=kaiming", "optimizer=sgd")
    assert (config.datamodule.name, config.init.name) == ("synthetic_images", "kaiming")
    assert config.optimizer._target_.endswith("SGD")


def test_the_defaults_are_those_of_the_design():
    config = composed("conv=weighted")
    assert (config.model.name, config.model.depth, config.model.batch_norm) == ("vgg", 16, True)
    assert (config.init.name, config.datamodule.name) == ("kaiming", "cifar100")
    assert config.conv.density == {"k3": [0.7], "k5": [0.2, 0.8], "k7": [0.25, 0.15, 0.55]}
    assert (config.paths.data_dir, config.paths.output_dir) == ("data", "runs")
    assert composed().conv.name == "standard"


@pytest.mark.parametrize("conv", ["scaled_init", "ablation"])
def test_the_controls_have_the_density_of_the_weighted_arm(conv):
    assert composed(f"conv={conv}").conv.density == composed("conv=weighted").conv.density


def test_trainer_takes_all_of_lightnings_arguments_but_our_own():
    signature = set(inspect.signature(pl.Trainer).parameters)
    keys = set(yaml.safe_load((CONFIGS / "trainer" / "default.yaml").read_text())) - {"_target_", "profile"}
    assert keys == signature - OWN


def test_every_key_of_a_data_set_is_an_argument_of_its_class():
    for _, choice in (entry for entry in CHOICES if entry[0] == "datamodule"):
        config = composed(f"datamodule={choice}").datamodule
        classes = get_class(config._target_).__mro__
        known = {name for one in classes for name in inspect.signature(one.__init__).parameters}
        assert set(config) - {"name", "_target_"} <= known


EXPERIMENTS = {
    "quickstart": ("vgg", 11, "synthetic_classes", "SGD"),
    "authors_trainable": ("vgg", 16, "cifar100", "AdamW"),
    "cifar100_small": ("vgg", 16, "cifar100", "SGD"),
    "cifar100_small_plain": ("vgg", 16, "cifar100", "Adam"),
    "cifar100_small_resnet": ("resnet", 20, "cifar100", "SGD"),
    "quickstart_denoising": ("dncnn", 5, "synthetic_images", "Adam"),
    "denoise_small": ("dncnn", 7, "image_folder", "Adam"),
    "denoise_small_nafnet": ("nafnet", None, "image_folder", "AdamW"),
    "denoise_init": ("dncnn", 7, "image_folder", "Adam"),
    "official/study_vgg": ("vgg", 16, "cifar100", "SGD"),
    "official/study_vgg_plain": ("vgg", 16, "cifar100", "AdamW"),
    "official/study_resnet": ("resnet", 20, "cifar100", "SGD"),
    "official/study_dncnn": ("dncnn", 7, "image_folder", "AdamW"),
    "official/study_nafnet": ("nafnet", None, "image_folder", "AdamW"),
    "paper_vgg": ("vgg", 16, "cifar100", "AdamW"),
    "paper_resnet": ("resnet", 18, "cifar100", "AdamW"),
    "paper_dncnn": ("dncnn", 17, "div2k", "AdamW"),
    "paper_nafnet": ("nafnet", None, "div2k", "AdamW"),
    "strong_vgg": ("vgg", 16, "cifar100", "SGD"),
    "strong_resnet": ("resnet", 18, "cifar100", "SGD"),
    "strong_dncnn": ("dncnn", 17, "image_folder", "Adam"),
    "strong_nafnet": ("nafnet", None, "div2k", "AdamW"),
}


SEARCHES = {
    "direct_l": {},
    "walk": {"start": "published", "step": 0.1},
    "grid": {"points": 9, "evaluations": None},
    "optuna": {"sampler_seed": 0, "prune": True},
    "gradient": {"lr": 0.01, "decimals": 2, "evaluations": 1},
}


def test_every_search_is_tested():
    assert {path.stem for path in (CONFIGS / "search").glob("*.yaml")} == set(SEARCHES)


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_has_what_all_have_and_its_own(name):
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        search = OmegaConf.to_container(compose(f"search/{name}").search)
    shared = {"evaluations": 30, "seeds": [0, 1, 2], "metric": None, "scope": "global", "confirm_seeds": None}
    assert search == shared | {"name": name, "bounds": dict.fromkeys(("k3", "k5", "k7"))} | SEARCHES[name]
    for key, value in search.items():
        check_value(f"search.{key}", value)


@pytest.mark.parametrize("word", ["search=walk", "search.seeds=[0]", "+search.points=3"])
def test_a_search_is_no_part_of_a_run(word):
    with pytest.raises(ConfigError, match=r"a search is many runs: python scripts/search.py"):
        parse_command_line([word], CONFIGS)
    assert "search" not in composed()


def test_every_experiment_is_tested():
    assert {choice for group, choice in CHOICES if group == "experiment"} == set(EXPERIMENTS)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_is_what_it_says_and_the_command_line_wins(name):
    model, depth, data, optimizer = EXPERIMENTS[name]
    denoises = model in ("dncnn", "nafnet")
    width, init = (5, "kaiming") if denoises else (0.5, "pytorch")
    config = composed(f"experiment={name}", f"model.width={width}", f"init={init}", "conv=weighted")
    assert (config.model.name, config.model.get("depth"), config.datamodule.name) == (model, depth, data)
    assert config.task.name == ("denoising" if denoises else "classification")
    assert config.optimizer._target_.endswith(optimizer)
    assert (config.model.width, config.init.name) == (width, init)
    assert config.model.get("batch_norm", True) == ("plain" not in name)
    check_compatibility(config)
    if name.startswith("official/"):  # where committed runs are found again, and in the arithmetic of fast=true
        assert (config.paths.output_dir, config.channels_last) == ("results/study/runs", True)
        assert config.trainer.precision == "bf16-mixed"
        assert config.optimizer.weight_decay > 0  # without, there is no decay to compare
    assert build_model(config, **({"channels": 1} if denoises else {"num_classes": 20, "in_channels": 3}))
