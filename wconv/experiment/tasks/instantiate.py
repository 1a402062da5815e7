"""Instantiate the class or function that a config group names."""

import inspect
from typing import Any

from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf

from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.common.text import one_line


def instantiate_group(group: DictConfig, **more: Any) -> Any:
    """Instantiate the class or function that a config group names.

    Its `name`, and the `library` of a model, are labels; a callable with an argument `name` gets it.

    Args:
        group: has `_target_`, optionally `_partial_`, and the arguments.
        **more: arguments that are not in the configuration.

    Raises:
        ConfigError: the target does not exist, or does not accept these arguments.
        InstantiationException: from Hydra, with the exception of the call as its cause.
    """
    arguments = OmegaConf.to_container(group, resolve=True)
    assert isinstance(arguments, dict)
    name = arguments.pop("name", None)
    arguments.pop("library", None)
    target = arguments["_target_"]
    try:
        signature = inspect.signature(get_object(target))
    except Exception as error:  # importing a module may raise anything
        raise ConfigError(f"_target_={target} cannot be imported ({one_line(error)[:300]})") from error
    if "name" in signature.parameters:
        arguments["name"] = name
    bind = signature.bind_partial if arguments.get("_partial_") else signature.bind
    given = {str(key): value for key, value in arguments.items() if key not in ("_target_", "_partial_")}
    try:
        bind(**given, **more)
    except TypeError as error:
        raise ConfigError(f"{target} cannot be called with the arguments of its group: {error}") from error
    return instantiate(arguments, **more, _convert_="object")
