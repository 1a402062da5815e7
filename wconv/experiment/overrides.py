"""Check what stands on the command line against the configuration, before Hydra composes it.

Hydra answers a wrong name with exit code 1 and the advice to put a + in front; here a wrong name is refused, also with
a +, and the nearest right one is named.
"""

import difflib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from hydra import compose, initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from wconv.experiment.errors import ConfigError

CONFIG_NAME = "train"
PATH_KEYS = ("paths.data_dir", "paths.output_dir")
# What a choice brings and nobody sets by hand.
FIXED = ("name", "_target_", "_partial_")
MISSING = object()


def checked(arguments: list[str], configs: Path) -> list[str]:
    """Check the arguments of train.py.

    Args:
        arguments: the command line without the program.
        configs: folder of the configuration.

    Returns:
        The arguments, options first, with relative paths made absolute: on a command line they mean the current
        folder.

    Raises:
        ConfigError: an unknown group, key or choice, a value of another type, or a line that cannot be parsed.
    """
    parser = get_args_parser()
    parser.error = _refuse_option  # type: ignore[method-assign]
    overrides = parser.parse_intermixed_args(arguments).overrides
    options = [argument for argument in arguments if argument not in overrides]
    with initialize_config_dir(str(configs), version_base="1.3"):
        try:
            parsed = OverridesParser.create().parse_overrides(overrides)
            _check(parsed)
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(" ".join(str(error).split())) from error
    return options + [_with_absolute_path(override) for override in parsed]


def _refuse_option(message: str) -> NoReturn:
    raise ConfigError(f"{message}; python train.py --help shows what there is")


def _check(overrides: list[Override]) -> None:
    groups = _groups(GlobalHydra.instance().config_loader())
    ours = [override for override in overrides if not override.key_or_group.startswith("hydra")]
    choices = [override for override in ours if override.key_or_group in groups]
    values = [override for override in ours if override not in choices]
    for override in ours:
        if override.is_delete() or override.package is not None:
            raise ConfigError(f"{override.input_line!r}: only GROUP=CHOICE and KEY=VALUE are understood")
    for override in choices:
        _check_choice(override, groups[override.key_or_group])
    # Of a grid the first choices are composed: the keys of the others are checked when their turn comes.
    base = compose(CONFIG_NAME, overrides=[f"{override.key_or_group}={_values(override)[0]}" for override in choices])
    names = [name for name in _flatten(base) if name.rsplit(".", 1)[-1] not in FIXED] + list(groups)
    for override in values:
        _check_key(override, base, names)
    for override in ours:
        if override.is_add() and not override.is_force_add():
            raise ConfigError(f"{override.input_line!r}: {override.key_or_group} is there already, drop the +")
    for override in values:
        _check_type(override, base)
    rest = [str(override.input_line) for override in overrides if not override.is_sweep_override()]
    compose(CONFIG_NAME, overrides=rest, return_hydra_config=True)


def _check_choice(override: Override, options: list[str]) -> None:
    for value in _values(override):
        if str(value) not in options:
            near = _nearest(str(value), options)
            raise ConfigError(f"unknown choice {override.key_or_group}={value}{near}; there are {', '.join(options)}")


def _check_key(override: Override, base: DictConfig, names: list[str]) -> None:
    key = override.key_or_group
    if not key or OmegaConf.select(base, key, default=MISSING) is MISSING:
        raise ConfigError(
            f"unknown key {key!r}{_nearest(key, names)}; python train.py --help lists the keys of your choices"
        )
    group, _, last = key.rpartition(".")
    if last in FIXED:
        raise ConfigError(f"{key} follows from the choice made for {group!r} and cannot be set")


def _check_type(override: Override, base: DictConfig) -> None:
    """Refuse a value of another type than the one it replaces; a null on either side says nothing."""
    key = override.key_or_group
    default = OmegaConf.select(base, key)
    if key.startswith("trainer.") or default is None:  # Lightning takes several types, and checks them
        return
    for value in _values(override):
        if value is None or "${" in str(value):
            continue
        if isinstance(default, DictConfig) != isinstance(value, dict):
            raise ConfigError(f"{key}={value} puts a value where there is a group of keys, or the reverse")
        if isinstance(default, ListConfig) != isinstance(value, list) and not key.startswith("conv.density."):
            raise ConfigError(f"{key}={value}: expected a list, e.g. {default}")
        if not _same_kind(default, value):
            raise ConfigError(f"{key}={value}: expected {_kind(default)}, e.g. {default}")


def _same_kind(default: Any, value: Any) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, float):
        return isinstance(value, int | float)
    if isinstance(default, int):
        return isinstance(value, int)
    if isinstance(default, str):
        return isinstance(value, str | int | float)
    return True


def _kind(default: Any) -> str:
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    return names.get(type(default), f"something like {type(default).__name__}")


def _values(override: Override) -> list[Any]:
    """Return the values an override stands for: one, or those of its sweep."""
    if override.is_sweep_override():
        return [_plain(value) for value in override.sweep_iterator()]
    return [_plain(override.value())]


def _plain(value: Any) -> Any:
    """Undo the quotes that Hydra's parser keeps around strings."""
    return value.strip("'\"") if isinstance(value, str) else value


def _groups(loader: ConfigLoader) -> dict[str, list[str]]:
    names = loader.get_group_options("", results_filter=ObjectType.GROUP)
    return {name: sorted(loader.get_group_options(name)) for name in names if name != "hydra"}


def _flatten(config: DictConfig, prefix: str = "") -> Iterator[str]:
    for key in map(str, config):
        yield f"{prefix}{key}"
        value = OmegaConf.select(config, key)
        if isinstance(value, DictConfig):
            yield from _flatten(value, f"{prefix}{key}.")


def _nearest(name: str, names: list[str]) -> str:
    """Name the most similar candidate; a key typed without its group is most similar to its last part."""
    last_parts = {candidate.rsplit(".", 1)[-1]: candidate for candidate in names}
    match = difflib.get_close_matches(name, names, 1, cutoff=0.7) or [
        last_parts[part] for part in difflib.get_close_matches(name.rsplit(".", 1)[-1], last_parts, 1)
    ]
    match = match or difflib.get_close_matches(name, names, 1, cutoff=0.3)
    return f": did you mean {match[0]!r}?" if match else ""


def _with_absolute_path(override: Override) -> str:
    value = None if override.is_sweep_override() else override.value()
    if override.key_or_group in PATH_KEYS and isinstance(value, str) and "${" not in value:
        return f"{override.key_or_group}='{os.path.abspath(os.path.expanduser(_plain(value)))}'"
    return str(override.input_line)
