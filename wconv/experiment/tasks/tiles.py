"""Denoise images that are too large to process at once, in overlapping tiles."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

OVERLAP = 32  # pixels, for models with global context: the least that hides the seams


def denoise_tiled(
    model: nn.Module, noisy: Tensor, max_pixels: int, step: Callable[[int, int], None] | None = None
) -> tuple[Tensor, bool]:
    """Denoise an image, in tiles if it is large.

    Tiles overlap by the receptive radius of the model (`model.context`), so the result equals that of the whole image.
    A model with global pooling has no such radius; its tiles are an approximation.

    Args:
        model: maps (1, C, H, W) to the same shape.
        noisy: the image, (1, C, H, W).
        max_pixels: pixels per tile at most; more if a tile would otherwise be nearly all overlap.
        step: called after every tile with the number of tiles done and of all.

    Returns:
        The denoised image, and whether it is an approximation.
    """
    height, width = noisy.shape[-2:]
    if height * width <= max_pixels:
        return model(noisy), False
    context: int | None = getattr(model, "context", None)
    overlap = OVERLAP if context is None else context
    core = max(math.isqrt(max_pixels) - 2 * overlap, overlap, 1)
    tops, lefts = range(0, height, core), range(0, width, core)
    denoised = torch.empty_like(noisy)
    for done, (top, left) in enumerate(((top, left) for top in tops for left in lefts), start=1):
        above, beside = max(0, top - overlap), max(0, left - overlap)
        tile = model(noisy[..., above : top + core + overlap, beside : left + core + overlap])
        inner = tile[..., top - above :, left - beside :][..., :core, :core]
        denoised[..., top : top + core, left : left + core] = inner
        if step:
            step(done, len(tops) * len(lefts))
    return denoised, context is None
