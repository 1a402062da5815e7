"""Check before a run that there are enough batches for every process, every limit, and batch norm."""

from typing import Any

import torch
from omegaconf import DictConfig
from torch import nn

from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.tasks.instantiate import instantiate_group
from wconv.experiment.tasks.network import check_output

NO_VARIANCE = "more than 1 value per channel"  # PyTorch's words


def check(config: DictConfig, data: Any, world_size: int) -> None:
    """Check that training, validation and test have batches that the run can use.

    Args:
        config: the composed configuration.
        data: the loaded data.
        world_size: number of processes.

    Raises:
        ConfigError: they do not; the message says what is missing and what to do.
    """
    training, held_out, test = data.train_dataloader(), data.val_dataloader(), data.test_dataloader()
    _check_shares(world_size, training.sampler.batch_size, len(held_out.dataset), len(test.dataset))
    shares = {"val": _fewest_batches(held_out, world_size), "test": _fewest_batches(test, world_size)}
    _check_limits(config.trainer, {"train": len(training), **shares}, world_size)
    _check_batch_norm(config, data, training.sampler.batch_size // (1 if config.trainer.sync_batchnorm else world_size))


def _check_shares(world_size: int, batch: int, held_out: int, test: int) -> None:
    """Check that every process gets an image of each set; otherwise the others would wait forever."""
    parts = {"a training batch": batch, "the validation set": held_out, "the test set": test}
    for part, images in parts.items():
        if images < world_size:
            raise ConfigError(
                f"{part} has {images} image{'s' * (images > 1)} for {world_size} processes, and each needs one; "
                f"use more images, or trainer.devices={images} with trainer.num_nodes=1"
            )


def _fewest_batches(whole: Any, world_size: int) -> int:
    """Return the smallest number of batches that any process gets from a loader."""
    batch = getattr(whole.sampler, "batch_size", world_size)  # whole images for denoising come one at a time
    return -(-(len(whole.dataset) // world_size) // max(1, batch // world_size))


def _check_limits(trainer: DictConfig, batches: dict[str, int], world_size: int) -> None:
    """Check that no limit is less than a batch, and that no validation interval is longer than an epoch.

    Args:
        trainer: its configuration.
        batches: number for each part, in the process with the fewest.
        world_size: number of processes.
    """
    for part, count in batches.items():
        limit = trainer[f"limit_{part}_batches"]
        if isinstance(limit, float) and limit > 0 and int(limit * count) == 0:
            raise ConfigError(
                f"trainer.limit_{part}_batches={limit:g} of {count} batch{'es' * (count > 1)}"
                f"{' per process' * (world_size > 1)} is less than one; "
                "write a whole number for a number of batches, or a larger fraction"
            )
    limit, due = trainer.limit_train_batches, trainer.val_check_interval
    steps = int(limit * batches["train"]) if isinstance(limit, float) else min(limit, batches["train"])
    if isinstance(due, int) and trainer.check_val_every_n_epoch is not None and due > steps:
        raise ConfigError(
            f"trainer.val_check_interval={due}, but an epoch has {steps} batches; lower it, or count batches over "
            "all epochs with trainer.check_val_every_n_epoch=null"
        )


def _check_batch_norm(config: DictConfig, data: Any, images: int) -> None:
    """Try a training step on the meta device: batch norm needs more than one value per channel."""
    size = getattr(data, "patch_size", data.image_size)
    with torch.device("meta"):
        model: nn.Module = instantiate_group(config.model, **data.model_arguments)
        batch = torch.empty(images, data.channels, size, size)
    try:
        output = model.train()(batch)
    except Exception as error:  # any other error will come from the first real step
        if NO_VARIANCE in str(error):
            raise ConfigError(
                f"a training batch of {images} image{'s' * (images > 1)} of {size}x{size} pixels leaves batch norm one "
                "value per channel, which has no variance; use a larger datamodule.batch_size, or larger images"
            ) from error
    else:
        check_output(output)
