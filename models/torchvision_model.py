"""The classifiers of torchvision, with random weights."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from models.libraries import check_arguments
from models.stem import use_small_stem

IMAGE = (224, 224)  # pixels; an image size that all networks accept
CHANNELS = 3


def torchvision_model(name: str, num_classes: int, in_channels: int = CHANNELS, stem: str = "small") -> nn.Module:
    """Make a network that maps images (N, in_channels, H, W) to logits (N, num_classes).

    GoogLeNet and Inception come without their auxiliary classifiers.

    Args:
        name: its name in torchvision.
        num_classes: number of logits.
        in_channels: 3 for colour, 1 for grey.
        stem: "small" for images of up to 64 pixels (see `use_small_stem`), or "original".

    Raises:
        ValueError: an argument has another value than these.
    """
    # Imported here, because code that only reads the signature needs no torchvision.
    import torchvision.models
    from torchvision.models import get_model_builder, list_models

    check_arguments("torchvision", list_models(torchvision.models), name, stem)
    if not 1 <= in_channels <= CHANNELS:
        raise ValueError(f"model.name={name} takes images of 1 to {CHANNELS} channels, and these have {in_channels}")
    builder = get_model_builder(name)
    taken = inspect.signature(inspect.signature(builder).return_annotation).parameters
    options = {"aux_logits": False, "init_weights": not _on_meta()}
    known = {key: value for key, value in options.items() if key in taken}
    model = _make(lambda: builder(weights=None, num_classes=num_classes, **known))
    if stem == "small":
        use_small_stem(model, (CHANNELS, *IMAGE))
    first = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
    if in_channels < CHANNELS:
        first.in_channels = in_channels
        first.weight = nn.Parameter(first.weight[:, :in_channels].detach().clone())
    return model


def _make(network: Callable[[], nn.Module]) -> nn.Module:
    """Build a network; under `torch.device("meta")` without memory, even if its constructor computes."""
    if not _on_meta():
        return network()
    with torch.device("cpu"), _EmptyOnMeta():
        model = network()
    return model.to("meta")


def _on_meta() -> bool:
    """Tell whether new tensors are created on the meta device."""
    return torch.get_default_device().type == "meta"


class _EmptyOnMeta(TorchFunctionMode):
    """Put parameters, which layers create with `torch.empty`, on the meta device and compute everything else."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Create empty tensors on the meta device."""
        return func(*args, **({**(kwargs or {}), "device": "meta"} if func is torch.empty else kwargs or {}))
