"""Read the configuration of an untrusted run: only classes of this project can be instantiated from it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from wconv.experiment.common.checkout import CONFIG_NAME, CONFIGS
from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.common.text import escape_control_characters, one_line
from wconv.experiment.common.value_rules import check_values
from wconv.experiment.runs.run_files import check_folder, read_config

# The groups that are instantiated from the configuration of a run, which may be somebody else's.
MADE = ("model", "conv", "datamodule", "task")


def read_run_config(run: Path, task: str = "") -> DictConfig:
    """Return the configuration of a run.

    Args:
        run: its folder.
        task: required task; any by default.

    Raises:
        ConfigError: the folder is not a run, or its configuration names foreign classes; the message is one sentence.
    """
    if not run.is_dir():
        raise ConfigError(f"{run} is no folder; name the folder of a run, as train.py prints it")
    check_folder(run)
    file = run / "config.yaml"
    try:
        parts = read_config(run)
        groups = ("model", "conv", "datamodule", "task", "trainer")
        if missing := set(groups) - set(parts):
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
        if plain := [name for name in groups if not isinstance(parts[name], dict)]:
            raise ValueError(f"{plain[0]} is no group of keys")
        found = parts["task"]["name"]
        named = {name: _choice(parts[name]) for name in MADE}
        OmegaConf.create(parts)
    except FileNotFoundError as error:
        raise ConfigError(f"{run} holds no config.yaml; name the folder of a run, as train.py prints it") from error
    except Exception as error:  # any error that OmegaConf raises for other files
        raise ConfigError(f"{file} is not the configuration of a run: {one_line(error)}") from error
    if task and found != task:
        raise ConfigError(escape_control_characters(f"{run} is a run of task={found}; name one of task={task}"))
    foreign = [f"{group}={name}" for group, name in named.items() if not _is_ours(group, name)]
    if not foreign:
        with initialize_config_dir(str(CONFIGS), version_base="1.3"):
            ours = compose(CONFIG_NAME, [f"{group}={name}" for group, name in named.items()])
        foreign = [name for group in MADE for name in _foreign_targets(parts[group], ours[group]._target_)]
    if foreign:
        raise ConfigError(
            f"{file} names {escape_control_characters(', '.join(foreign))}, which this project does not have: "
            "nothing of it is executed"
        )
    try:
        for group in MADE:
            _check_group(group, parts[group])
            # Regardless of the file, which may be foreign, or older than a move of the class.
            parts[group]["_target_"] = ours[group]._target_
        config = OmegaConf.create(parts)
        check_values(config)
    except Exception as error:  # any error that OmegaConf raises for invalid groups
        raise ConfigError(f"{file}: {one_line(error)}") from error
    return config


def _choice(group: dict[str, Any]) -> str:
    """Return the choice that a group came from; for a library model, the library."""
    return str(group.get("library") or group.get("name"))


def _is_ours(group: str, name: str) -> bool:
    """Tell whether the project has a choice of this name in a group."""
    return name in {file.stem for file in (CONFIGS / group).glob("*.yaml")}


def _foreign_targets(group: dict[str, Any], ours: str) -> Iterator[str]:
    """Yield all targets that Hydra would call except our own class, which may have moved since."""
    yield from _targets({key: value for key, value in group.items() if key != "_target_"})
    target = str(group.get("_target_", ours))
    if target.rpartition(".")[2] != ours.rpartition(".")[2]:
        yield target


def _targets(part: Any) -> Iterator[str]:
    """Yield every `_target_`, at any depth."""
    if isinstance(part, dict):
        yield from (str(value) for key, value in part.items() if key == "_target_")
        for value in part.values():
            yield from _targets(value)
    elif isinstance(part, list):
        for value in part:
            yield from _targets(value)


def _check_group(name: str, group: dict[str, Any]) -> None:
    """Refuse keys that are instructions to Hydra, and nested keys except the densities of an arm."""
    plain = {key: value for key, value in group.items() if key != "_target_"}
    if name == "conv":
        for key in ("density", "layer_density"):
            density = plain.pop(key, None)
            plain |= density if isinstance(density, dict) else {}
    for key, value in plain.items():
        nested = isinstance(value, dict) or (isinstance(value, list) and any(isinstance(v, dict) for v in value))
        if str(key).startswith("_") or nested:
            raise ValueError(f"{name}.{key} is no argument of a model, an arm, a data set or a task")
