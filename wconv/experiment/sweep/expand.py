"""Expand a sweep: determine the folder of each run from its overrides, without a Hydra composition per run."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, InstantiationException
from omegaconf import DictConfig, OmegaConf

from wconv.experiment.command_line.arguments import parse_command_line
from wconv.experiment.command_line.overrides import parse_values
from wconv.experiment.common.checkout import CONFIG_NAME, resolve_paths
from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.common.failures import configuration_errors
from wconv.experiment.common.value_rules import check_values
from wconv.experiment.runs.identity import model_name
from wconv.experiment.runs.run import Run
from wconv.experiment.sweep.estimate import workload
from wconv.experiment.sweep.manifest import SHARED_KEYS, UNKNOWN, Row, Settings
from wconv.experiment.tasks.build_task import check_compatibility
from wconv.experiment.tasks.instantiate import instantiate_group
from wconv.experiment.tasks.network import check_library_model


def expand(lines: list[list[str]], root: Path, *, without_data: bool = False) -> tuple[list[Row], Settings]:
    """Expand the overrides of each run of a sweep to its row.

    Hydra composes once per combination of group choices (about 150 ms); plain values are then set in a copy.

    Args:
        lines: overrides of each run, with absolute paths.
        root: folder of train.py.
        without_data: accept missing data; the folders of its runs, which depend on the data, are then unknown.

    Returns:
        The runs, each folder once, and their common settings.

    Raises:
        ConfigError: as for train.py, or the runs differ in cluster or resources.
    """
    configs = root / "configs"
    found: list[tuple[Path, Row] | None] = [None] * len(lines)
    shared: dict[str, Settings] = {}
    fingerprints: dict[str, dict[str, Any]] = {}
    tried = set[str]()
    with initialize_config_dir(str(configs), version_base="1.3"), configuration_errors():
        for choices, numbers in _by_choices(lines, configs).items():
            base = _composed(list(choices), configs)
            check_compatibility(base)
            config, touched = base.copy(), set[str]()
            parsed: dict[str, Any] = {}
            for number in numbers:
                values = [line for line in lines[number] if line not in choices]
                keys = {line.partition("=")[0] for line in values}
                new = [line for line in values if line not in parsed]
                if new:
                    by_key = parse_values(new, base, list(choices))
                    parsed |= {line: by_key[line.partition("=")[0]] for line in new}
                # Reset keys that an earlier run has set and this one does not.
                if keys != touched:
                    config, touched = base.copy(), keys
                for line in values:
                    OmegaConf.update(config, line.partition("=")[0], parsed[line], merge=False)
                if new or not values:  # rules check single keys, so values seen before are valid
                    check_values(config)
                    settings = _settings(config)
                    shared.setdefault(json.dumps(settings.values, sort_keys=True), settings)
                if "library" in config.model and (network := str((config.model, config.conv))) not in tried:
                    check_library_model(config)
                    tried.add(network)
                data = _data(config, fingerprints, without_data)
                directory = Run(config, data, Path(config.paths.output_dir)).directory
                shown = directory
                if UNKNOWN in data:
                    shown = directory.with_name(f"{directory.name[:-8]}{UNKNOWN}")
                row = Row(shown, model_name(config.model), config.trainer.max_epochs, shlex.join(lines[number]))
                found[number] = directory, row
    if len(shared) > 1:
        kinds = [settings.values for settings in shared.values()]
        key = next(key for key in kinds[0] if any(kind[key] != kinds[0][key] for kind in kinds))
        raise ConfigError(f"the runs of a sweep share {key}: set it for all of them, or make two sweeps")
    rows: dict[Path, Row] = {}
    for directory, row in filter(None, found):
        rows.setdefault(directory, row)
    return list(rows.values()), next(iter(shared.values()))


def _by_choices(lines: list[list[str]], configs: Path) -> dict[tuple[str, ...], list[int]]:
    groups: dict[tuple[str, ...], list[int]] = {}
    for number, line in enumerate(lines):
        choices = tuple(entry for entry in line if (configs / entry.partition("=")[0].lstrip("+~")).is_dir())
        groups.setdefault(choices, []).append(number)
    return groups


def _composed(choices: list[str], configs: Path) -> DictConfig:
    try:
        return compose(CONFIG_NAME, overrides=choices)
    except HydraException:
        GlobalHydra.instance().clear()  # for `read`, which initialises Hydra itself and raises our errors
        parse_command_line(choices, configs)
        raise


def _settings(config: DictConfig) -> Settings:
    if config.force:
        raise ConfigError("force=true in a sweep would start every run over each time it resumes; remove the folders")
    key = {name: OmegaConf.select(config, name) for name in SHARED_KEYS}
    plain = {
        name: OmegaConf.to_container(value) if OmegaConf.is_config(value) else value for name, value in key.items()
    }
    return Settings(plain)


def _data(config: DictConfig, known: dict[str, dict[str, Any]], without: bool) -> dict[str, Any]:
    """Return the fingerprint of the data, computed once for all runs that use the same data."""
    content = OmegaConf.to_container(config.datamodule, resolve=True)
    assert isinstance(content, dict)
    key = json.dumps({name: value for name, value in content.items() if name != "seed"}, sort_keys=True)
    if key not in known:
        try:
            known[key] = instantiate_group(resolve_paths(config).datamodule).fingerprint()
        except (ValueError, OSError, InstantiationException):
            if not without:
                raise
            known[key] = {UNKNOWN: True}
    return known[key]


def compose_groups(rows: list[Row], root: Path, groups: tuple[str, ...]) -> Iterator[tuple[DictConfig, list[Row]]]:
    """Yield configurations, each with the rows that agree with it in some groups; composes once per combination.

    Args:
        rows: of a sweep.
        root: folder of train.py.
        groups: config groups whose values count, besides the choices; other values are left at their defaults.
    """
    lines = [row.overrides for row in rows]
    with initialize_config_dir(str(root / "configs"), version_base="1.3"):
        for choices, numbers in _by_choices(lines, root / "configs").items():
            alike: dict[tuple[str, ...], list[Row]] = {}
            for number in numbers:
                values = [line for line in lines[number] if line not in choices]
                relevant = tuple(line for line in values if line.lstrip("+").startswith(groups))
                alike.setdefault(relevant, []).append(rows[number])
            for relevant, members in alike.items():
                yield compose(CONFIG_NAME, overrides=[*choices, *relevant]), members


def datasets(rows: list[Row], root: Path) -> Iterator[tuple[str, Any]]:
    """Yield the name and the datamodule of every data set of a sweep, once."""
    seen = set[str]()
    for config, _ in compose_groups(rows, root, ("datamodule.", "paths.")):
        absolute = resolve_paths(config).datamodule
        if (key := json.dumps(OmegaConf.to_container(absolute, resolve=True), sort_keys=True)) not in seen:
            seen.add(key)
            yield config.datamodule.name, instantiate_group(absolute)


def by_workload(rows: list[Row], root: Path) -> list[tuple[str, list[Row]]]:
    """Group the rows of a sweep by workload, which determines the time of an epoch."""
    found: dict[str, list[Row]] = {}
    for config, members in compose_groups(
        rows, root, ("datamodule.", "model.", "trainer.", "paths.", "channels_last=", "compile=")
    ):
        content = OmegaConf.to_container(config, resolve=True)
        assert isinstance(content, dict)
        found.setdefault(workload({str(key): value for key, value in content.items()}), []).extend(members)
    return list(found.items())
