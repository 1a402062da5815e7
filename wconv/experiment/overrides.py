"""Check what stands on the command line against the configuration, before Hydra composes it.

Hydra answers a wrong name with exit code 1 and the advice to put a + in front; here a wrong name is refused, also with
a +, and the nearest right one is named.
"""

import difflib
import os
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, NoReturn

from hydra import compose, initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from wconv.experiment.errors import ConfigError

CONFIG_NAME = "train"
PATH_KEYS = (
    "paths.data_dir",
    "paths.output_dir",
    "datamodule.train_dir",
    "datamodule.val_dir",
    "datamodule.test_dirs",
    "datamodule.store_dir",
)
# What a choice brings and nobody sets by hand.
FIXED = ("name", "_target_", "_partial_")
DERIVED = {"datamodule.seed": "seed", "task.seed": "seed"}
# Groups that need no choice.
OPTIONAL = ("experiment", "debug")
QUOTES = "'\""
LISTED = r"""\s*('[^']*'|"[^"]*"|[^,]+)"""  # an entry of a list: a comma within quotes belongs to it
MISSING = object()


def checked(arguments: list[str], configs: Path) -> list[str]:
    """Check the arguments of train.py.

    Args:
        arguments: the command line without the program.
        configs: folder of the configuration.

    Returns:
        The arguments, options first, with relative paths made absolute: on a command line they mean the current folder.

    Raises:
        ConfigError: an unknown group, key or choice, a value of another type, or a line that cannot be parsed.
    """
    parser = get_args_parser()
    parser.error = _refuse_option  # type: ignore[method-assign]
    parsed = parser.parse_intermixed_args(arguments)
    if parsed.config_name or parsed.config_path or parsed.config_dir:
        _refuse_option("the configuration is the one beside train.py")
    options = [argument for argument in arguments if argument not in parsed.overrides]
    overrides = [_with_absolute_paths(line, parsed.multirun) for line in parsed.overrides]
    overrides += _cluster_of_launcher(overrides, configs)
    with initialize_config_dir(str(configs), version_base="1.3"):
        try:
            _check(OverridesParser.create().parse_overrides(overrides), parsed.multirun)
        except (HydraException, OmegaConfBaseException) as error:
            text = " ".join(str(error).split()).split(" See https")[0]
            raise ConfigError(f"{text} (special characters need quotes: \"KEY='VALUE'\")") from error
    return options + overrides


def _refuse_option(message: str) -> NoReturn:
    raise ConfigError(f"{message}; python train.py --help shows what there is")


def _check(overrides: list[Override], multirun: bool) -> None:
    groups = _groups(GlobalHydra.instance().config_loader())
    ours = [override for override in overrides if not override.key_or_group.startswith("hydra")]
    choices = [override for override in ours if override.key_or_group in groups]
    values = [override for override in ours if override not in choices]
    for override in overrides:
        line = override.input_line
        if override.is_delete() or override.package is not None or override.key_or_group == "hydra.mode":
            raise ConfigError(f"{line!r}: only GROUP=CHOICE and KEY=VALUE are understood")
        if override.is_sweep_override() and not multirun:
            raise ConfigError(f"{line!r} names several values: add -m to run them all, or quote the value")
        if override.key_or_group == "sweep":
            raise ConfigError(f"{line!r}: a sweep is many runs: python scripts/sweep.py {override.value()} --local 2")
    for override in choices:
        _check_choice(override, groups[override.key_or_group])
    rest = [str(override.input_line) for override in overrides if not override.is_sweep_override()]
    for picked in product(*map(_values, choices)):  # of a grid, every combination that changes which keys there are
        lines = [f"{override.key_or_group}={_typed(value)}" for override, value in zip(choices, picked, strict=True)]
        base = compose(CONFIG_NAME, overrides=lines)
        names = [name for name in _flatten(base) if name.rsplit(".", 1)[-1] not in FIXED] + list(groups)
        for override in values:
            _check_key(
                override,
                base,
                names,
                [line for line, override in zip(lines, choices, strict=True) if override.is_sweep_override()],
            )
        for override in ours:
            if override.is_add() and not override.is_force_add():
                raise ConfigError(f"{override.input_line!r}: {override.key_or_group} is there already, drop the +")
        for override in values:
            _check_type(override, base)
        compose(CONFIG_NAME, overrides=lines + rest, return_hydra_config=True)


def _check_choice(override: Override, options: list[str]) -> None:
    group = override.key_or_group
    for value in _values(override):
        if str(value) not in options and not (value is None and group in OPTIONAL):
            near = _nearest(str(value), options)
            raise ConfigError(f"unknown choice {group}={_typed(value)}{near}; there are {', '.join(options)}")


def _check_key(override: Override, base: DictConfig, names: list[str], cell: list[str]) -> None:
    key = override.key_or_group
    if not key or OmegaConf.select(base, key, default=MISSING) is MISSING:
        where = f" with {' '.join(cell)}" if cell else ""
        raise ConfigError(
            f"unknown key {key!r}{where}{_nearest(key, names)}; python train.py --help lists the keys of your choices"
        )
    group, _, last = key.rpartition(".")
    if last in FIXED or key in DERIVED:
        source = DERIVED.get(key, f"the choice made for {group!r}")
        raise ConfigError(f"{key} follows from {source} and cannot be set")


def _check_type(override: Override, base: DictConfig) -> None:
    """Refuse a value of another type than the one it replaces."""
    key = override.key_or_group
    default = OmegaConf.select(base, key)
    # Most of the trainer's keys take several types, and Lightning checks them; a null default says nothing.
    if default is None or (key.startswith("trainer.") and not isinstance(default, bool)):
        return
    for value in _values(override):
        if "${" in str(value):
            continue
        if isinstance(default, DictConfig) != isinstance(value, dict):
            raise ConfigError(f"{key}={_typed(value)} puts a value where there is a group of keys, or the reverse")
        # The layers say what they expect of a density, and null leaves a size standard; a noise level may be a range.
        if key.startswith("conv.density.") or key == "task.sigma":
            continue
        if isinstance(default, ListConfig) != isinstance(value, list):
            raise ConfigError(f"{key}={_typed(value)}: expected a list, e.g. {default}")
        if not _same_kind(default, value):
            raise ConfigError(f"{key}={_typed(value)}: expected {_kind(default)}, e.g. {_typed(default)}")


def _same_kind(default: Any, value: Any) -> bool:
    if value is None:  # a number or text may be left open, and is then checked where it is used
        return not isinstance(default, bool)
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
    if isinstance(value, QuotedString):
        return value.text
    return value.strip("'\"") if isinstance(value, str) else value


def _typed(value: Any) -> str:
    """Write a value as one types it."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _groups(loader: ConfigLoader) -> dict[str, list[str]]:
    names = loader.get_group_options("", results_filter=ObjectType.GROUP)
    return {name: sorted(loader.get_group_options(name)) for name in names if name not in ("hydra", "sweep")}


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


def _with_absolute_paths(line: str, multirun: bool) -> str:
    """Quote the value of a path and make it absolute; in a grid, each of its values."""
    key, _, value = line.partition("=")
    if key not in PATH_KEYS or value in ("", "null", "auto") or "${" in value:
        return line
    if value[0] == "[" and value[-1] == "]":
        return f"{key}=[{_absolute(re.findall(LISTED, value[1:-1]))}]"
    quoted = value[0] in QUOTES and value[-1] == value[0] and len(value) > 1
    return f"{key}=" + _absolute([value] if quoted else value.split(",") if multirun else [value])


def _absolute(paths: list[str]) -> str:
    """Make paths absolute and quote them."""
    plain = [path[1:-1] if path[:1] in QUOTES and path[-1:] == path[:1] else path for path in map(str.strip, paths)]
    absolute = [os.path.abspath(os.path.expanduser(path)).replace("'", "\\'") for path in plain if path]
    return ",".join(f"'{path}'" for path in absolute)


def _cluster_of_launcher(overrides: list[str], configs: Path) -> list[str]:
    """Return cluster=NAME for hydra/launcher=NAME, unless a cluster is named: Hydra lets no launcher bring it along."""
    chosen = dict(override.split("=", 1) for override in overrides if "=" in override)
    name = chosen.get("hydra/launcher")
    is_ours = name is not None and (configs / "cluster" / f"{name}.yaml").exists()
    return [f"cluster={name}"] if is_ours and "cluster" not in chosen else []


def absolute_paths(lines: list[str]) -> list[str]:
    """Return overrides with the paths among them made absolute and quoted; relative ones start where one is."""
    return [_with_absolute_paths(line, multirun=False) for line in lines]


def parse_values(lines: list[str], base: DictConfig, choices: list[str]) -> dict[str, Any]:
    """Check plain overrides against a composed configuration, as `checked` does, and return the value of each key.

    Args:
        lines: KEY=VALUE, no choices of a group.
        base: the composed configuration.
        choices: the GROUP=CHOICE it was composed with, for messages.

    Raises:
        ConfigError: as `checked`.
    """
    try:
        overrides = OverridesParser.create().parse_overrides(lines)
    except HydraException as error:
        raise ConfigError(" ".join(str(error).split()).split(" See https")[0]) from error
    names = [name for name in _flatten(base) if name.rsplit(".", 1)[-1] not in FIXED]
    for override in overrides:
        if override.is_delete() or override.is_add() or override.is_sweep_override() or override.package is not None:
            raise ConfigError(
                f"{override.input_line!r}: a sweep has one KEY=VALUE a key; its grid lists several values"
            )
        _check_key(override, base, names, choices)
        _check_type(override, base)
    return {override.key_or_group: override.value() for override in overrides}
