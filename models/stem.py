"""A stem for small images: a first 3x3 convolution with stride 1, without pooling after it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

CONVOLUTION = 3  # kernel size, in pixels
PADDING = (nn.ConstantPad2d, nn.ZeroPad2d)


class _EndOfStem(Exception):
    """Stops the forward pass after the stem."""


def use_small_stem(model: nn.Module, image: Sequence[int]) -> None:
    """Replace the stem of a network so that it keeps the size of small images (such as 32x32), in place.

    The stem is found by running the network. It is replaced if the first convolution is strided and its kernels
    overlap; the pooling after it is removed unless another layer shrinks the image first or the pooling belongs to a
    block. Networks that start with stride 1 (VGG) or with patches (ViT, Swin, ConvNeXt) stay unchanged.

    Args:
        model: the network.
        image: shape (C, H, W) of an image that the network accepts.
    """
    layers = _run_stem(model, image)
    if not layers or not _shrinks_by_overlapping_kernels(layers[0]):
        return
    *before, last = layers
    if _is_pooling(last):
        _leave_out_pooling(model, before, last)
    _use_small_kernel(layers[0])


def _shrinks_by_overlapping_kernels(conv: Any) -> bool:
    return max(conv.stride) > 1 and all(size > step for size, step in zip(conv.kernel_size, conv.stride, strict=True))


@torch.no_grad()
def _run_stem(model: nn.Module, image: Sequence[int]) -> list[nn.Module]:
    """Return the layers in execution order, from the first convolution to the next layer that shrinks the image."""
    layers: list[nn.Module] = []

    def hook(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if layers or isinstance(layer, nn.Conv2d):
            layers.append(layer)
            if not _shrinks_by_overlapping_kernels(layers[0]) or (len(layers) > 1 and _shrinks(inputs, output)):
                raise _EndOfStem

    handles = [module.register_forward_hook(hook) for module in model.modules() if not list(module.children())]
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()(torch.zeros(1, *image, device=next(model.parameters()).device))
    except _EndOfStem:
        pass
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
    return layers


def _shrinks(inputs: tuple[Any, ...], output: Any) -> bool:
    """Tell whether a layer downsamples; losing a few pixels at the border for lack of padding does not count."""
    maps = [each for each in (*inputs[:1], output) if isinstance(each, Tensor) and each.dim() == 4]
    return len(maps) == 2 and maps[1].shape[-1] < 0.6 * maps[0].shape[-1]


def _is_pooling(layer: nn.Module) -> bool:
    return not list(layer.parameters())


def _leave_out_pooling(model: nn.Module, before: list[nn.Module], pooling: nn.Module) -> None:
    """Replace the pooling of a stem by the identity, unless it is within a block.

    A max-pooling of stride 1 before a blur is replaced as well, and so are padding layers before either.
    """
    names = {module: name for name, module in model.named_modules()}
    chain = [model.get_submodule(name) for name in _path(names[pooling])]
    # The outermost container with nothing but pooling, such as max-pooling and blur.
    top = next(module for module in chain if _is_pooling(module))
    parent, _, _ = names[top].rpartition(".")
    if not names[before[0]].startswith(f"{parent}." if parent else ""):
        return
    for layer in (*(each for each in before if isinstance(each, (nn.MaxPool2d, *PADDING))), top):
        model.set_submodule(names[layer], nn.Identity())


def _path(name: str) -> list[str]:
    """Return the names of all modules on the path to a layer, outermost first."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


@torch.no_grad()
def _use_small_kernel(conv: Any) -> None:
    """Turn a convolution of any class into a 3x3 one with stride 1 that keeps the image size.

    A kernel of this size keeps its weights; any other is drawn again with He initialisation, as in torchvision's
    ResNet.
    """
    conv.stride = (1, 1)
    if conv.kernel_size != (CONVOLUTION, CONVOLUTION):
        before = conv.weight
        conv.kernel_size = (CONVOLUTION, CONVOLUTION)
        conv.weight = nn.Parameter(before.new_empty(*before.shape[:2], *conv.kernel_size))
        nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
        if hasattr(conv, "scale"):  # timm scales these kernels by the root of the number of taps
            conv.scale *= (before[0].numel() / conv.weight[0].numel()) ** 0.5
    image = conv.weight.new_zeros(1, conv.in_channels, 8, 8)
    conv.padding = (CONVOLUTION // 2, CONVOLUTION // 2)
    if conv(image).shape != (1, conv.out_channels, 8, 8):  # it pads by itself
        conv.padding = (0, 0)
