"""Build a task from the configuration, and check that data, task and model fit together."""

import inspect
from typing import Any

import yaml  # type: ignore[import-untyped]
from hydra.utils import get_class, get_object
from omegaconf import DictConfig
from torch import nn

import wconv
from wconv.experiment.common.checkout import CONFIGS
from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.common.text import one_line
from wconv.experiment.tasks.density_recipe import DensityRecipe
from wconv.experiment.tasks.instantiate import instantiate_group
from wconv.experiment.tasks.network import check_library_model
from wconv.experiment.tasks.task import Task


def check_compatibility(config: DictConfig) -> None:
    """Check that data, task and model fit together.

    Raises:
        ConfigError: they do not; the message says what would fit.
    """
    data: Any = get_class(config.datamodule._target_)
    task, model = config.task.name, config.model.get("library", config.model.name)
    parameters = inspect.signature(get_object(config.model._target_)).parameters.values()
    needed = "num_classes" if task == "classification" else "channels"
    if not any(one.name == needed or one.kind == one.VAR_KEYWORD for one in parameters):
        raise ConfigError(f"model={model} does not go with task={task}; the model brings its task along: drop task=")
    if data.task != task:
        *others, last = _data_sets_of(task)
        raise ConfigError(
            f"datamodule={config.datamodule.name} is for {data.task}, and model={model} for {task}; "
            f"choose datamodule={', '.join(others)} or {last}"
        )
    if "library" in config.model:
        check_library_model(config)


def _data_sets_of(task: str) -> list[str]:
    files = sorted((CONFIGS / "datamodule").glob("*.yaml"))
    classes: dict[str, Any] = {file.stem: get_class(yaml.safe_load(file.read_text())["_target_"]) for file in files}
    return [name for name, data in classes.items() if data.task == task]


def build_task(config: DictConfig, model: nn.Module, **data_arguments: Any) -> Task:
    """Build the task for a model.

    Raises:
        ConfigError: the optimiser or the schedule rejects its values; both are tried before anything is started.
    """
    optimizer, scheduler = instantiate_group(config.optimizer), instantiate_group(config.scheduler)
    group = "optimizer"
    try:
        trial = optimizer(model.parameters())
        group = "scheduler"
        scheduler(trial, total_steps=100)
    except Exception as error:  # any error that PyTorch raises for the values
        raise ConfigError(f"{group}: {one_line(error)}") from error
    density = None
    if wconv.density_parameters(model):
        conv = config.conv
        density = DensityRecipe(conv.lr, conv.weight_decay, conv.restart_epochs, conv.restart_factor)
    task: Task = instantiate_group(
        config.task, model=model, optimizer=optimizer, scheduler=scheduler, density=density, **data_arguments
    )
    return task
