"""Choose between two versions of each image of a batch."""

import torch
from torch import Tensor


def choose(changed: Tensor, images: Tensor, mask: Tensor) -> Tensor:
    """Return the batch (B, ...) with the changed version of those images where `mask` (B,) is true.

    Whole images are copied; `torch.where` chooses pixel by pixel, which takes ten times as long for bytes.
    """
    positions = torch.arange(len(mask), device=mask.device) + len(mask) * mask.logical_not()
    return torch.cat([changed, images]).index_select(0, positions)
