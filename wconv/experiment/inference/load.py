"""A trained denoiser, read back from the folder of its run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile, is_zipfile

import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from wconv.experiment.common.checkout import CONFIG_NAME, CONFIGS, ROOT
from wconv.experiment.common.directory_keys import is_directory_key
from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.common.text import escape_control_characters, one_line
from wconv.experiment.common.value_rules import check_values
from wconv.experiment.runs.checkpoint_io import verify_checksum
from wconv.experiment.runs.run_files import check_folder, read_config
from wconv.experiment.tasks.denoising import Denoising
from wconv.experiment.tasks.instantiate import instantiate_group
from wconv.experiment.tasks.network import apply_arm

# What is made of the configuration of a run, which may be somebody else's.
MADE = ("model", "conv", "datamodule", "task")


@dataclass(frozen=True)
class Denoiser:
    """A network and how it is evaluated.

    Attributes:
        task: the task around the network, with the noise it was trained for.
        channels: 1 for grey, 3 for colour.
        name: what it is, for people.
        config: of its run; None for a file of weights.
    """

    task: Denoising
    channels: int
    name: str
    config: DictConfig | None = None

    @property
    def model(self) -> nn.Module:
        """The network, in evaluation mode."""
        return self.task.model

    @property
    def sigma(self) -> float:
        """Noise level that it was trained for, of 255; the middle of a range."""
        return self.task.noise.level

    @property
    def max_pixels(self) -> int:
        """Images of more pixels are denoised in tiles."""
        return self.task.max_pixels


def load_denoiser(run: Path) -> Denoiser:
    """Read the network of the best epoch of a run; whoever made its folder, nothing in it is executed.

    Raises:
        ConfigError: the folder is no denoising run, or has no checkpoint; in one sentence.
    """
    config = _config(run)
    path = run / "checkpoints" / "best.ckpt"
    path = path if path.exists() else path.with_name("last.ckpt")
    try:
        verify_checksum(path)
        state = dict(read_weights(path)["state_dict"])
        arguments = {"channels": config.datamodule.channels}
        with torch.device("meta"):  # no memory is taken until it is known that the file fills it
            _check_shapes(instantiate_group(config.model, **arguments), state)
        with torch.random.fork_rng(devices=[]):
            model = apply_arm(instantiate_group(config.model, **arguments), config.conv)
            task: Denoising = instantiate_group(config.task, model=model, optimizer=None, scheduler=None)
        task.load_state_dict(state)
    except FileNotFoundError as error:
        raise ConfigError(f"{run} holds no checkpoint; let the run come to the end of an epoch first") from error
    except Exception as error:  # whatever PyTorch and the constructors make of a damaged file
        raise ConfigError(f"{path} does not hold the network of {run}/config.yaml: {one_line(error)[:300]}") from error
    device = "cuda" if torch.cuda.is_available() else "cpu"
    name = escape_control_characters(f"{config.model.name}, {config.conv.name}")[:60]
    return Denoiser(task.eval().to(device), config.datamodule.channels, name, config)


def read_weights(path: Path) -> Any:
    """Read a file of PyTorch, wherever it comes from: tensors and plain values, of no more memory than the file.

    Raises:
        Exception: whatever PyTorch makes of a file that is something else.
    """
    if is_zipfile(path):
        with ZipFile(path) as archive:
            # PyTorch compresses nothing; what is compressed may be a thousand times as large as its file.
            if any(entry.compress_type != ZIP_STORED for entry in archive.infolist()):
                raise ValueError("it is compressed, as PyTorch writes none")
    content = torch.load(path, map_location="cpu", weights_only=True)
    _check_filled(content)
    if isinstance(content, dict):
        _check_filled(content.get("state_dict"))
    return content


def _check_filled(state: Any) -> None:
    """Refuse tensors that repeat a few values along large dimensions.

    Raises:
        ValueError: one of these tensors does; which.
    """
    for name, value in state.items() if isinstance(state, dict) else ():
        if isinstance(value, Tensor) and value.untyped_storage().nbytes() < value.numel() * value.element_size():
            raise ValueError(f"{name} is of shape {tuple(value.shape)}, but the file has fewer values")


def _check_shapes(skeleton: nn.Module, state: Mapping[str, Any]) -> None:
    """Refuse weights that are not those of a network, before that is made."""
    for name, parameter in skeleton.state_dict(prefix="model.").items():
        value = state.get(name)
        if not isinstance(value, Tensor) or value.shape != parameter.shape:
            found = tuple(value.shape) if isinstance(value, Tensor) else "nothing"
            raise ValueError(f"{name} should be of shape {tuple(parameter.shape)}, found {found}")


def _config(run: Path) -> DictConfig:
    """Return the configuration of a denoising run, with absolute paths."""
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
        task = parts["task"]["name"]
        named = {name: str(parts[name].get("name")) for name in MADE}
        OmegaConf.create(parts)
    except FileNotFoundError as error:
        raise ConfigError(f"{run} holds no config.yaml; name the folder of a run, as train.py prints it") from error
    except Exception as error:  # whatever OmegaConf makes of a file that is something else
        raise ConfigError(f"{file} is not the configuration of a run: {one_line(error)}") from error
    if task != "denoising":
        raise ConfigError(escape_control_characters(f"{run} is a run of task={task}; name one of task=denoising"))
    foreign = [f"{group}={name}" for group, name in named.items() if not _is_ours(group, name)]
    if not foreign:
        with initialize_config_dir(str(CONFIGS), version_base="1.3"):
            ours = compose(CONFIG_NAME, [f"{group}={name}" for group, name in named.items()])
        foreign = [name for group in MADE for name in _foreign_targets(parts[group], ours[group]._target_)]
    if foreign:
        raise ConfigError(
            f"{file} names {escape_control_characters(', '.join(foreign))}: none of this project's, and so not run"
        )
    try:
        for group in MADE:
            _check_group(group, parts[group])
            # Whatever the file says: it may be foreign, or from before a class moved.
            parts[group]["_target_"] = ours[group]._target_
        config = OmegaConf.create(parts)
        check_values(config)
    except Exception as error:  # whatever OmegaConf makes of groups that are none
        raise ConfigError(f"{file}: {one_line(error)}") from error
    for key, value in config.datamodule.items():
        if is_directory_key(str(key)) and value is not None:
            several = OmegaConf.is_list(value)
            config.datamodule[key] = [str(ROOT / path) for path in value] if several else str(ROOT / value)
    return config


def _is_ours(group: str, name: str) -> bool:
    """Tell whether the project has a choice of this name in a group."""
    return name in {file.stem for file in (CONFIGS / group).glob("*.yaml")}


def _foreign_targets(group: dict[str, Any], ours: str) -> Iterator[str]:
    """Yield what Hydra would call besides our own class, which may have moved since the file was written."""
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
    """Refuse keys that Hydra would take for an instruction, and nested ones but the densities of an arm."""
    plain = {key: value for key, value in group.items() if key != "_target_"}
    if name == "conv":
        density = plain.pop("density", None)
        plain |= density if isinstance(density, dict) else {}
    for key, value in plain.items():
        nested = isinstance(value, dict) or (isinstance(value, list) and any(isinstance(v, dict) for v in value))
        if str(key).startswith("_") or nested:
            raise ValueError(f"{name}.{key} is no argument of a model, an arm, a data set or a task")
