"""A trained denoiser, read back from the folder of its run."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from wconv.experiment.build import apply_conv, make
from wconv.experiment.denoising import Denoising
from wconv.experiment.errors import ConfigError, one_line
from wconv.experiment.identity import NEUTRAL_DATA

ROOT = Path(__file__).resolve().parents[2]
# Somebody else's config.yaml makes nothing but these.
ALLOWED = {
    "models.dncnn.DnCNN",
    "models.nafnet.NAFNet",
    "datamodules.div2k.DIV2K",
    "datamodules.image_folder.ImageFolder",
    "datamodules.synthetic_images.SyntheticImages",
    "wconv.experiment.denoising.Denoising",
}


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
    """Read the network of the best epoch of a run.

    Raises:
        ConfigError: the folder is no denoising run, or has no checkpoint; in one sentence.
    """
    config = _config(run)
    path = run / "checkpoints" / "best.ckpt"
    path = path if path.exists() else path.with_name("last.ckpt")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        state = checkpoint["state_dict"]
        with torch.random.fork_rng(devices=[]):
            model = make(config.model, channels=config.datamodule.channels)
            model = apply_conv(model, config.conv)
            task: Denoising = make(config.task, model=model, optimizer=None, scheduler=None)
        task.load_state_dict(state)
    except FileNotFoundError as error:
        raise ConfigError(f"{run} holds no checkpoint; let the run come to the end of an epoch first") from error
    except Exception as error:  # whatever PyTorch and the constructors make of a damaged file
        raise ConfigError(f"{path} does not hold the network of {run}/config.yaml: {one_line(error)}") from error
    device = "cuda" if torch.cuda.is_available() else "cpu"
    name = f"{config.model.name}, {config.conv.name}"
    return Denoiser(task.eval().to(device), config.datamodule.channels, name, config)


def _config(run: Path) -> DictConfig:
    """Return the configuration of a denoising run, with absolute paths."""
    if not run.is_dir():
        raise ConfigError(f"{run} is no folder; name the folder of a run, as train.py prints it")
    file = run / "config.yaml"
    try:
        config = OmegaConf.load(file)
        assert isinstance(config, DictConfig)
        if missing := {"model", "conv", "datamodule", "task", "trainer"} - set(config):
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
        task = config.task.name
        parts = OmegaConf.to_container(OmegaConf.masked_copy(config, ["model", "datamodule", "task"]), resolve=True)
    except FileNotFoundError as error:
        raise ConfigError(f"{run} holds no config.yaml; name the folder of a run, as train.py prints it") from error
    except Exception as error:  # whatever OmegaConf makes of a file that is something else
        raise ConfigError(f"{file} is not the configuration of a run: {one_line(error)}") from error
    if task != "denoising":
        raise ConfigError(f"{run} is a run of task={task}; name one of task=denoising")
    if foreign := set(_targets(parts)) - ALLOWED:
        names = ", ".join(sorted(foreign))
        raise ConfigError(f"{file} names {names}: none of this project's models and data, and so not run")
    for key in NEUTRAL_DATA:
        value = config.datamodule.get(key)
        if value is not None:
            several = OmegaConf.is_list(value)
            config.datamodule[key] = [str(ROOT / path) for path in value] if several else str(ROOT / value)
    return config


def _targets(part: Any) -> Iterator[str]:
    """Yield everything that Hydra would call, at any depth."""
    if isinstance(part, dict):
        yield from (str(value) for key, value in part.items() if key == "_target_")
        for value in part.values():
            yield from _targets(value)
    elif isinstance(part, list):
        for value in part:
            yield from _targets(value)
    elif isinstance(part, str) and "${" in part:  # was escaped: Hydra would resolve it once more, to anything at all
        yield part
