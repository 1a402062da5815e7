"""Load a trained network from its run folder, and a denoiser from a run folder or a weight file."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from wconv.experiment.common.checkout import ROOT
from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.common.path_keys import is_directory_key
from wconv.experiment.common.text import escape_control_characters, one_line
from wconv.experiment.inference.published import recognise
from wconv.experiment.inference.run_config import read_run_config
from wconv.experiment.runs.arm_styles import arm_name
from wconv.experiment.runs.checkpoint_io import verify_checksum
from wconv.experiment.runs.identity import model_name
from wconv.experiment.tasks.denoising import Denoising
from wconv.experiment.tasks.instantiate import instantiate_group
from wconv.experiment.tasks.network import apply_arm
from wconv.experiment.tasks.weights_file import find_weights, read_weights

# Defaults for a denoiser without a run.
SIGMA, MAX_PIXELS = 25.0, 1_000_000


@dataclass(frozen=True)
class Denoiser:
    """A denoiser with its task and evaluation settings.

    Attributes:
        task: the task around the network, with the noise it was trained for.
        channels: 1 for grey, 3 for colour.
        name: description for users.
        config: of its run; None for a weight file.
        recognised: what was found in a weight file, in one line.
    """

    task: Denoising
    channels: int
    name: str
    config: DictConfig | None = None
    recognised: str = ""

    @property
    def model(self) -> nn.Module:
        """The network, in evaluation mode."""
        return self.task.model

    @property
    def sigma(self) -> float:
        """Noise level that it was trained for (0-255 scale); the midpoint of a range."""
        return self.task.noise.level

    @property
    def max_pixels(self) -> int:
        """Larger images are denoised in tiles."""
        return self.task.max_pixels


@dataclass(frozen=True)
class Trained:
    """The network of a run, on the CPU, in evaluation mode.

    Attributes:
        model: the network, with its densities.
        arguments: constructor arguments that follow from the data.
        config: of its run.
    """

    model: nn.Module
    arguments: Mapping[str, int]
    config: DictConfig

    @property
    def channels(self) -> int:
        """Number of channels of its images."""
        return self.arguments["in_channels" if "in_channels" in self.arguments else "channels"]


def load_network(run: Path) -> Trained:
    """Load the network of a run of any task; the folder may be untrusted, since nothing in it is executed.

    Raises:
        ConfigError: the folder is not a run, or has no checkpoint; the message is one sentence.
    """
    config = read_run_config(run)
    path = _checkpoint_of(run)
    with _what_the_file_lacks(run, path):
        state = _state_dict(path)
        denoises = config.task.name == "denoising"
        arguments = {"channels": config.datamodule.channels} if denoises else _told_by_the_data(config, state)
        return Trained(_network(config, state, **arguments).eval(), arguments, config)


def load_denoiser(run: Path, checkpoint: Path | None = None) -> Denoiser:
    """Load the network of a denoising run; the folder may be untrusted, since nothing in it is executed.

    Args:
        run: its folder.
        checkpoint: one of its checkpoints; that of the best epoch by default.

    Raises:
        ConfigError: the folder is not a denoising run, or has no checkpoint; the message is one sentence.
    """
    config = read_run_config(run, "denoising")
    for key, value in config.datamodule.items():
        if is_directory_key(str(key)) and value is not None:
            several = OmegaConf.is_list(value)
            config.datamodule[key] = [str(ROOT / path) for path in value] if several else str(ROOT / value)
    path = checkpoint or _checkpoint_of(run)
    with _what_the_file_lacks(run, path):
        model = _network(config, _state_dict(path), channels=config.datamodule.channels)
        task: Denoising = instantiate_group(config.task, model=model, optimizer=None, scheduler=None)
    return Denoiser(task.eval().to(_device()), config.datamodule.channels, _name(config), config)


def load_checkpoint(path: Path) -> Denoiser:
    """Load a denoiser from one file: a checkpoint in a run folder, or a weight file of any origin.

    Raises:
        ConfigError: the file cannot be read, or holds no known network; the message is one sentence.
    """
    if run := run_of(path):
        denoiser = load_denoiser(run, path)
        return replace(denoiser, recognised=f"{path}: {denoiser.name}, as the run in {run} trained it")
    try:
        found = recognise(*find_weights(path))
    except ValueError as error:
        raise ConfigError(f"{path}: {one_line(error)[:400]}") from error
    task = Denoising(found.model, None, None, 0, SIGMA, clip_noisy=False, loss="l2", test_seed=0, max_pixels=MAX_PIXELS)  # type: ignore[arg-type]
    return Denoiser(task.eval().to(_device()), found.channels, path.name, recognised=f"{path}: {found.description}")


def run_of(checkpoint: Path) -> Path | None:
    """Return the run folder that a checkpoint lies in, or None."""
    folder = Path(os.path.abspath(checkpoint)).parent
    return folder.parent if folder.name == "checkpoints" and (folder.parent / "config.yaml").exists() else None


def _checkpoint_of(run: Path) -> Path:
    path = run / "checkpoints" / "best.ckpt"
    return path if path.exists() else path.with_name("last.ckpt")


@contextmanager
def _what_the_file_lacks(run: Path, path: Path) -> Iterator[None]:
    """Turn errors into one sentence on why the network could not be loaded."""
    try:
        yield
    except FileNotFoundError as error:
        raise ConfigError(f"{run} holds no checkpoint; let the run come to the end of an epoch first") from error
    except Exception as error:  # any error that PyTorch and constructors raise for a damaged file
        raise ConfigError(f"{path} does not hold the network of {run}/config.yaml: {one_line(error)[:300]}") from error


def _state_dict(path: Path) -> dict[str, Any]:
    """Return the weights of a checkpoint, by their names in the network."""
    verify_checksum(path)
    prefix = "model."
    state = dict(read_weights(path)["state_dict"])
    if foreign := [name for name in state if not name.startswith(prefix)]:
        raise ValueError(f"{foreign[0]} is no weight of a network")
    return {name.removeprefix(prefix): value for name, value in state.items()}


def _told_by_the_data(config: DictConfig, state: Mapping[str, Any]) -> dict[str, int]:
    """Infer the data-dependent arguments of a classifier, which a run does not record, from its weight shapes."""

    def shapes(**arguments: int) -> dict[str, torch.Size]:
        with torch.device("meta"):
            model: nn.Module = instantiate_group(config.model, **arguments)
        return {name: value.shape for name, value in model.state_dict().items()}

    ones = {"num_classes": 1, "in_channels": 1}
    at_one, found = shapes(**ones), {}
    for argument in ones:
        at_two = shapes(**ones | {argument: 2})
        name = next(name for name, shape in at_one.items() if shape != at_two[name])
        axis = next(axis for axis, size in enumerate(at_one[name]) if size != at_two[name][axis])
        found[argument] = int(state[name].shape[axis])
    return found


def _network(config: DictConfig, state: Mapping[str, Any], **arguments: Any) -> nn.Module:
    """Return the network of a configuration with its weights."""
    with torch.device("meta"):  # no memory is allocated before the weights are known to fit
        _check_shapes(instantiate_group(config.model, **arguments), state)
    with torch.random.fork_rng(devices=[]):
        model = apply_arm(instantiate_group(config.model, **arguments), config.conv)
    model.load_state_dict(dict(state))
    return model


def _check_shapes(skeleton: nn.Module, state: Mapping[str, Any]) -> None:
    """Refuse weights that do not fit a network, before it is allocated."""
    for name, parameter in skeleton.state_dict().items():
        value = state.get(name)
        if not isinstance(value, Tensor) or value.shape != parameter.shape:
            found = tuple(value.shape) if isinstance(value, Tensor) else "nothing"
            raise ValueError(f"{name} should be of shape {tuple(parameter.shape)}, found {found}")


def _name(config: DictConfig) -> str:
    return escape_control_characters(f"{model_name(config.model)}, {arm_name(config.conv)}")[:60]


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
