"""Build a network from the configuration: backbone, initial weights, conversion; and copies for inference."""

import copy
import inspect
import warnings
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from hydra.utils import get_method
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils.flop_counter import FlopCounterMode

import wconv
from wconv.experiment.common.checkout import ROOT
from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.common.text import one_line
from wconv.experiment.tasks.arms import NothingConverted
from wconv.experiment.tasks.instantiate import instantiate_group
from wconv.experiment.tasks.weights_file import find_weights


def build_model(config: DictConfig, **data_arguments: Any) -> nn.Module:
    """Build the backbone, initialise its weights, then convert its convolutions.

    The weights are drawn from their own random stream, or loaded from `model.checkpoint`, before the convolutions are
    converted. So all arms of a comparison start from the same W, and no later draw depends on the model.

    Args:
        config: the composed configuration.
        **data_arguments: arguments that follow from the data, such as the number of channels.

    Raises:
        ConfigError: `model.checkpoint` cannot be read, or belongs to another network.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model: nn.Module = instantiate_group(config.model, **data_arguments)
        instantiate_group(config.init)(model)
    if checkpoint := config.model.get("checkpoint"):
        _start_from(ROOT / Path(checkpoint).expanduser(), model)
    return apply_arm(model, config.conv)


def check_library_model(config: DictConfig) -> None:
    """Check, on the meta device, that a library model exists and that the arm changes any of its convolutions.

    Raises:
        ConfigError: the arm changes nothing, so the name of the run would be wrong.
        InstantiationException: from Hydra, for a name or a value that the library does not know.
    """
    with torch.device("meta"):
        model: nn.Module = instantiate_group(config.model, num_classes=2, in_channels=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # shown later, when the model is built for training
        warnings.simplefilter("error", NothingConverted)
        try:
            apply_arm(model, config.conv)
        except NothingConverted as error:
            raise ConfigError(
                f"conv={config.conv.name} changes nothing in model.name={config.model.name}: it has no convolution of "
                "a kernel size in conv.density; choose conv=standard, another density, or another model"
            ) from error


def _start_from(path: Path, model: Any) -> None:
    """Load the initial weights of a training.

    Raises:
        ConfigError: the file cannot be read, or holds the weights of another network; the message is one sentence.
    """
    key = f"model.checkpoint={path}"
    try:
        classes = model.load_published(find_weights(path)[1])
    except ValueError as error:
        raise ConfigError(f"{key}: {error}") from error
    if classes != model.classifier.out_features:
        warnings.warn(
            f"{key} is for {classes} classes, and the data has {model.classifier.out_features}: the classifier starts "
            "from random weights",
            stacklevel=2,
        )


def apply_arm(model: nn.Module, conv: DictConfig) -> nn.Module:
    """Apply the chosen arm to the convolutions of a network (see `arms`).

    Keys that the arm does not accept are ignored: the recipe of trained densities is for the optimiser, and an
    experiment may set keys of one arm while the command line chooses another.
    """
    arm = get_method(conv._target_)
    settings = OmegaConf.to_container(conv, resolve=True)
    assert isinstance(settings, dict)
    taken = inspect.signature(arm).parameters
    changed: nn.Module = arm(model, **{str(key): value for key, value in settings.items() if key in taken})
    return changed


def plain_copy(model: nn.Module) -> nn.Module:
    """Return a copy of a network with plain convolutions that computes the same function."""
    return wconv.fold(copy.deepcopy(model))


def inference_copy(model: nn.Module) -> nn.Module:
    """Return a faster copy of a network for inference, equal up to rounding.

    Densities and batch normalisations are folded into the kernels, which are in channels_last.
    """
    quick = plain_copy(model).eval()
    for module in quick.modules():
        if isinstance(module, nn.Sequential):
            for first, second in pairwise(list(module._modules)):
                conv, norm = module._modules[first], module._modules[second]
                if type(conv) is nn.Conv2d and type(norm) is nn.BatchNorm2d:
                    setattr(module, first, fuse_conv_bn_eval(conv, norm))
                    setattr(module, second, nn.Identity())
    return quick.to(memory_format=torch.channels_last)


def describe(model: nn.Module) -> dict[str, Any]:
    """Return the number of parameters and the layers with their densities, for results.json."""
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "layers": [asdict(layer) for layer in wconv.summary(model)],
    }


def check_output(output: Any) -> None:
    """Refuse an output that the loss cannot use.

    Raises:
        ConfigError: it is not a single tensor.
    """
    if not isinstance(output, Tensor):
        kind = type(output).__name__
        raise ConfigError(f"the model returns a {kind}, and a training takes one tensor; choose another model")


def count_macs(model: nn.Module, channels: int, image_size: int, stem: str | None = None) -> int:
    """Return the multiply-accumulates of one image.

    Args:
        model: the network.
        channels: of the image.
        image_size: its height and width in pixels.
        stem: `model.stem`, for a library model.

    Raises:
        ConfigError: the model does not accept images of this size, or returns more than one tensor.
    """
    training = model.training
    model.eval()
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            output = model(torch.zeros(1, channels, image_size, image_size))
    except (RuntimeError, AssertionError, ValueError) as error:  # from PyTorch, and from networks for a fixed size
        advice = "; choose model.stem=original, another model or images of another size" if stem == "small" else ""
        raise ConfigError(
            f"the model cannot take images of {image_size}x{image_size} pixels: {one_line(error)[:200]}{advice}"
        ) from error
    check_output(output)
    model.train(training)
    return int(counter.get_total_flops()) // 2
