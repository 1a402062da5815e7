"""Images that are too large to denoise at once."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

OVERLAP = 32  # pixels, for models that look at the whole image: the least that hides the seams


def denoise_tiled(
    model: nn.Module, noisy: Tensor, max_pixels: int, step: Callable[[int, int], None] | None = None
) -> tuple[Tensor, bool]:
    """Denoise an image, in tiles where it is large.

    Tiles overlap by as many pixels as the model looks beyond the one it computes (`model.context`), so they give what
    the whole image would. A model with global pooling has no such number; its tiles are an approximation.

    Args:
        model: maps (1, C, H, W) to the same shape.
        noisy: the image, (1, C, H, W).
        max_pixels: most pixels at a time; more where a tile would else be nearly all overlap.
        step: told of every tile that is done, and of how many there are.

    Returns:
        The denoised image and whether it is such an approximation.
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
