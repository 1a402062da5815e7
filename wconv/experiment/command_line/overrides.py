"""Check overrides against the configuration before Hydra composes it.

Hydra answers an unknown name with exit code 1 and the advice to add a +; here an unknown name is refused, even with a
+, and the most similar known one is suggested.
"""

import difflib
from collections.abc import Iterator
from itertools import islice, product
from math import prod
from typing import Any

from hydra import compose
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, QuotedString, RangeSweep
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf

from wconv.experiment.command_line.secrets import forbid_secret_interpolation
from wconv.experiment.common.checkout import CONFIG_NAME
from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.common.value_rules import check_value

# Keys that follow from a choice and cannot be set.
READ_ONLY_KEYS = ("name", "library", "_target_", "_partial_")
DERIVED_KEYS = {"datamodule.seed": "seed", "task.seed": "seed"}
# Groups without a default choice.
OPTIONAL = ("experiment", "debug")
LAUNCHER = "hydra/launcher"  # the only group of Hydra itself that may be chosen: where the runs of a grid go
LAYER_DENSITY = "conv.layer_density"  # its keys are layer names, which contain dots
MISSING = object()
MOST_RUNS = 10_000  # of a grid


def check_overrides(overrides: list[Override], multirun: bool) -> DictConfig:
    """Check overrides against the configuration; Hydra must be initialised.

    Args:
        overrides: as parsed by Hydra.
        multirun: whether an override may have several values.

    Returns:
        The composed configuration of a single run; for a grid, that of its last combination of choices.

    Raises:
        ConfigError: an override is wrong; the message has the first one and suggests the most similar.
    """
    loader = GlobalHydra.instance().config_loader()
    groups = _groups(loader)
    choices = [override for override in overrides if override.key_or_group in groups]
    values = [override for override in overrides if override not in choices]
    for override in overrides:
        line = override.input_line
        if override.is_delete() or override.package is not None or override.key_or_group == "hydra.mode":
            raise ConfigError(f"{line!r}: only GROUP=CHOICE and KEY=VALUE are understood")
        if override.key_or_group == "sweep":
            raise ConfigError(f"{line!r}: a sweep is many runs: python scripts/sweep.py {override.value()} --local 2")
        if override.key_or_group.split(".")[0] == "search":
            raise ConfigError(
                f"{line!r}: a search is many runs: python scripts/search.py search=walk, and your overrides"
            )
        if override.key_or_group.split("/")[0].split(".")[0] == "hydra" and override.key_or_group != LAUNCHER:
            raise ConfigError(f"{line!r}: Hydra's own settings are fixed by train.py and cannot be changed")
        if override.key_or_group == LAUNCHER and not multirun:
            raise ConfigError(f"{line!r} says where the runs of a grid go: add -m, or the run would start here")
        if override.is_sweep_override() and not multirun:
            raise ConfigError(f"{line!r} names several values: add -m to run them all, or quote the value")
        if override.is_sweep_override() and not _values(override):
            raise ConfigError(f"{line!r} names no value at all: there would be nothing to run")
    if prod(len(_values(override)) for override in overrides) > MOST_RUNS:
        raise ConfigError(f"the grid is of more than {MOST_RUNS} runs; name fewer values")
    if len([override for override in values if override.key_or_group == LAYER_DENSITY]) > 1:
        raise ConfigError(f"{LAYER_DENSITY} stands there twice; name all layers in one, as in {{a:[0.5],b:[0.7]}}")
    for override in choices:
        _check_choice(override, sorted(_options(loader, override.key_or_group)))
    for picked in product(*map(_values, choices)):  # for a grid, every combination of choices, which determine the keys
        lines = [f"{override.key_or_group}={_typed(value)}" for override, value in zip(choices, picked, strict=True)]
        base = compose(CONFIG_NAME, overrides=lines)
        names = [*_settable(base), *groups]
        for override in values:
            _check_key(
                override,
                base,
                names,
                [line for line, override in zip(lines, choices, strict=True) if override.is_sweep_override()],
            )
        for override in overrides:
            if override.is_add() and not override.is_force_add():
                raise ConfigError(f"{override.input_line!r}: {override.key_or_group} is there already, drop the +")
        for override in values:
            _check_type(override, base)
            # Check every value, even one that a later override replaces; for a grid, before its first run.
            for value in _values(override):
                if "${" not in str(value):
                    check_value(override.key_or_group, value)
        config = base.copy()
        for override in values:
            if not override.is_sweep_override():
                OmegaConf.update(config, override.key_or_group, override.value(), merge=True)  # as Hydra does
        OmegaConf.to_container(config, resolve=True)
    return config


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
        if "density" in key and OmegaConf.select(base, "conv.density") is None:
            raise ConfigError(f"unknown key {key!r}{where}: conv={base.conv.name} has no density; add conv=weighted")
        raise ConfigError(
            f"unknown key {key!r}{where}{_nearest(key, names)}; python train.py --help lists the keys of your choices"
        )
    if _is_read_only(key, base) or key in DERIVED_KEYS:
        source = DERIVED_KEYS.get(key, f"the choice made for {key.rpartition('.')[0]!r}")
        raise ConfigError(f"{key} follows from {source} and cannot be set")


def _is_read_only(key: str, base: DictConfig) -> bool:
    """Tell whether a key follows from a choice; the name of a library's model can be set."""
    group, _, last = key.rpartition(".")
    is_free = last == "name" and OmegaConf.select(base, f"{group}.library") is not None
    return last in READ_ONLY_KEYS and not is_free


def _settable(base: DictConfig) -> Iterator[str]:
    return (key for key in _flatten(base) if not _is_read_only(key, base))


def _check_type(override: Override, base: DictConfig) -> None:
    """Refuse a value of another type than the one it replaces."""
    key = override.key_or_group
    default = OmegaConf.select(base, key)
    values = _values(override)
    for value in values:
        if _holds_keys(value) and key != LAYER_DENSITY:
            raise ConfigError(f"{key}={_typed(value)}: keys are set one by one, as GROUP.KEY=VALUE")
    # Most keys of the trainer accept several types, which Lightning checks; a null default has no type.
    if default is None or (key.startswith("trainer.") and not isinstance(default, bool)):
        return
    for value in values:
        if "${" in str(value):
            continue
        if key == LAYER_DENSITY:  # Hydra only adds keys to an existing mapping
            if value is None:
                continue
            raise ConfigError(f"{key} is set by a choice such as experiment=..., and can only be removed: {key}=null")
        if isinstance(default, DictConfig):
            raise ConfigError(f"{key}={_typed(value)} puts a value where there is a group of keys, or the reverse")
        # Densities are checked by the layers, and null leaves a size standard; a noise level may be a range.
        if key.startswith("conv.density.") or key == "task.sigma":
            continue
        if isinstance(default, ListConfig) != isinstance(value, list):
            what = "a list" if isinstance(default, ListConfig) else _kind(default)
            raise ConfigError(f"{key}={_typed(value)}: expected {what}, e.g. {_typed(default)}")
        if not _same_kind(default, value):
            raise ConfigError(f"{key}={_typed(value)}: expected {_kind(default)}, e.g. {_typed(default)}")


def _holds_keys(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(map(_holds_keys, value)))


def _same_kind(default: Any, value: Any) -> bool:
    if value is None:  # null may replace a number or text, and is checked where it is used
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
    """Return the values of an override: one, or those of its sweep."""
    if override.is_sweep_override():
        sweep = override.value()
        # A huge range is refused before it is expanded.
        if isinstance(sweep, RangeSweep) and not _length(sweep) <= MOST_RUNS:
            raise ConfigError(f"{override.input_line!r}: a grid has at most {MOST_RUNS} runs; name fewer values")
        return [_plain(value) for value in islice(override.sweep_iterator(), MOST_RUNS + 1)]
    return [_plain(override.value())]


def _length(sweep: RangeSweep) -> float:
    if sweep.start is None or sweep.stop is None or not sweep.step:
        return float("inf")
    return (sweep.stop - sweep.start) / sweep.step


def _plain(value: Any) -> Any:
    """Undo the quotes that Hydra's parser keeps around strings."""
    if isinstance(value, QuotedString):
        return value.text
    return value.strip("'\"") if isinstance(value, str) else value


def _typed(value: Any) -> str:
    """Format a value as typed on a command line."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _groups(loader: ConfigLoader) -> list[str]:
    names = loader.get_group_options("", results_filter=ObjectType.GROUP)
    return [LAUNCHER, *(name for name in names if name not in ("hydra", "search", "sweep"))]


def _options(loader: ConfigLoader, group: str) -> list[str]:
    """Return the choices of a group; those in subfolders as folder/choice."""
    folders = loader.get_group_options(group, results_filter=ObjectType.GROUP)
    below = [f"{folder}/{name}" for folder in folders for name in loader.get_group_options(f"{group}/{folder}")]
    return [*loader.get_group_options(group), *below]


def _flatten(config: DictConfig, prefix: str = "") -> Iterator[str]:
    for key in map(str, config):
        yield f"{prefix}{key}"
        value = OmegaConf.select(config, key)
        if isinstance(value, DictConfig):
            yield from _flatten(value, f"{prefix}{key}.")


def _nearest(name: str, names: list[str]) -> str:
    """Suggest the most similar name; a key typed without its group is compared with the last part."""
    last_parts = {candidate.rsplit(".", 1)[-1]: candidate for candidate in names}
    match = difflib.get_close_matches(name, names, 1, cutoff=0.7) or [
        last_parts[part] for part in _equally_close(name.rsplit(".", 1)[-1], list(last_parts))
    ]
    match = match or difflib.get_close_matches(name, names, 1, cutoff=0.3)
    return f": did you mean {' or '.join(map(repr, match))}?" if match else ""


def _equally_close(word: str, words: list[str]) -> list[str]:
    """Return the most similar word; two, as of "epochs", if they are equally similar."""
    close = difflib.get_close_matches(word, words, 2)
    ratios = [difflib.SequenceMatcher(None, other, word).ratio() for other in close]
    return sorted(other for other, ratio in zip(close, ratios, strict=True) if ratio == ratios[0])


def parse_values(lines: list[str], base: DictConfig, choices: list[str]) -> dict[str, Any]:
    """Check plain overrides as `check_overrides` does, and return the value of each key.

    Args:
        lines: KEY=VALUE, without group choices.
        base: the composed configuration.
        choices: the GROUP=CHOICE that it was composed with, for messages.

    Raises:
        ConfigError: as `check_overrides`.
    """
    forbid_secret_interpolation()
    try:
        overrides = OverridesParser.create().parse_overrides(lines)
    except HydraException as error:
        raise ConfigError(" ".join(str(error).split()).split(" See https")[0]) from error
    names = list(_settable(base))
    for override in overrides:
        if override.is_delete() or override.is_add() or override.is_sweep_override() or override.package is not None:
            raise ConfigError(
                f"{override.input_line!r}: overrides of a sweep are KEY=VALUE, one for each key; "
                "several values go into its grid"
            )
        _check_key(override, base, names, choices)
        _check_type(override, base)
    return {override.key_or_group: override.value() for override in overrides}
