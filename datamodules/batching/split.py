"""Hold out validation images, class by class."""

import torch
from torch import Tensor

from datamodules.batching.random_streams import seeded_generator

# One fixed split for every run: the validation images must not depend on the training seed.
SPLIT_KEY = ("split", 0)
HELD_OUT = 0.1  # default fraction of the training images: 5,000 for CIFAR-100


def draw_subset(labels: Tensor, subset: int | None) -> Tensor:
    """Draw a subset of the images, stratified by class.

    Args:
        labels: classes of all training images, (N,).
        subset: how many to draw; None for all.

    Returns:
        Indices, (subset,), in a random order that is always the same.

    Raises:
        ValueError: there are fewer images.
    """
    total = len(labels)
    if subset is not None and not 1 <= subset <= total:
        raise ValueError(
            f"datamodule.train_subset={subset}: the data set has {total} training images; "
            f"choose 1 to {total}, or null for all"
        )
    return _class_balanced_order(labels)[:subset]


def split_validation(labels: Tensor, size: int | None) -> tuple[Tensor, Tensor]:
    """Split a training set in two, stratified by class.

    Args:
        labels: classes of the images, (N,).
        size: how many to hold out; None for a tenth.

    Returns:
        Indices of the images for training and of those held out.

    Raises:
        ValueError: one of the two would be empty.
    """
    total = len(labels)
    held = round(total * HELD_OUT) if size is None else size
    if not 1 <= held < total:
        asked = "null" if size is None else size
        raise ValueError(
            f"datamodule.val_size={asked}: {held} of {total} training images would be held out for validation; "
            "leave one at least on either side, or use more images with datamodule.train_subset"
        )
    order = _class_balanced_order(labels)
    return order[held:], order[:held]


def _class_balanced_order(labels: Tensor) -> Tensor:
    """Order images so that every leading part is stratified by class.

    Within its class of n, an image has a random rank r; sorting by (r + u) / n, with one u per class, spreads the
    classes evenly even if they differ in size.
    """
    generator = seeded_generator(*SPLIT_KEY)
    shuffled = torch.randperm(len(labels), generator=generator)
    position = torch.empty(len(labels), dtype=torch.float64)
    for label in labels.unique():
        members = shuffled[labels[shuffled] == label]
        offset = torch.rand((), generator=generator, dtype=torch.float64)
        position[members] = (torch.arange(len(members), dtype=torch.float64) + offset) / len(members)
    return position.argsort(stable=True)
