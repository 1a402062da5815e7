"""The options of train.py: those of Hydra that show something, and -m."""

from argparse import Namespace
from typing import Any, NoReturn

from hydra._internal.utils import get_args_parser

from wconv.experiment.exceptions import ConfigError

FLAGS = ("help", "hydra_help", "multirun", "resolve")
WITH_VALUE = ("cfg", "info", "package")
LONGEST = 4000  # characters of an argument; Hydra's parser is slow on what nobody types


def parse(arguments: list[str]) -> tuple[Namespace, list[str]]:
    """Tell options from overrides.

    Returns:
        What the parser makes of them, and the options, written so that none takes an override for its value.

    Raises:
        ConfigError: an option is unknown, or one that runs or writes something else than train.py does.
    """
    if longest := next((argument for argument in arguments if len(argument) > LONGEST), ""):
        raise ConfigError(f"{longest[:40]!r}...: an argument of {len(longest)} characters; {LONGEST} are the most")
    parser = get_args_parser()
    parser.error = refuse  # type: ignore[method-assign]
    parsed = parser.parse_intermixed_args(arguments)
    given: dict[str, Any] = vars(parsed)
    if given["config_name"] or given["config_path"] or given["config_dir"]:
        refuse("the configuration is the one beside train.py")
    if foreign := [name for name, value in given.items() if value and name not in (*FLAGS, *WITH_VALUE, "overrides")]:
        refuse(f"{_option(foreign[0])} is an option of Hydra that train.py does not have")
    if given["hydra_help"] and given["overrides"]:
        refuse("--hydra-help stands alone")
    if (given["resolve"] or given["package"]) and not (given["cfg"] or given["help"]):
        refuse("--resolve and --package go with --cfg job")
    flags = [_option(name) for name in FLAGS if given[name]]
    return parsed, flags + [f"{_option(name)}={given[name]}" for name in WITH_VALUE if given[name]]


def refuse(message: str) -> NoReturn:
    """Refuse the options of a line."""
    raise ConfigError(f"{message}; python train.py --help shows what there is")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
