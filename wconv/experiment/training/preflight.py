"""Checks before a run starts, so that foreseeable failures do not happen hours later: device, memory, disk."""

import os
import shutil
import tempfile
import warnings
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from rich.filesize import decimal
from torch import Tensor, nn

from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.runs.run import Run
from wconv.experiment.tasks.instantiate import instantiate_group
from wconv.experiment.training.image_results import PANELS

BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")  # names of the CPU feature in PyTorch, on x86 and ARM
CHECKPOINTS = 4  # best, last, previous, and the one being written
TABLES = 2**20  # bytes of metrics, results and curves
SMALL_IMAGES = 64  # pixels per side
BYTES_PER_PIXEL = 3 * 4  # of the panel of a test image: four colour images (clean, noisy, denoised, difference)


def check(config: DictConfig, run: Run, data: Any) -> None:
    """Check that the device exists, and that memory and disk have room for the run.

    Args:
        config: the composed configuration.
        run: of this configuration.
        data: its loaded data.

    Raises:
        ConfigError: something is missing; the message says what, and what to do.
    """
    device = _check_device(config.trainer)
    if config.model.get("stem") == "small" and data.image_size > SMALL_IMAGES:
        warnings.warn(
            f"model.stem=small is for images of up to {SMALL_IMAGES} pixels, and these have {data.image_size}: where "
            "it replaces the network's stem, the run takes many times the memory and time of model.stem=original",
            stacklevel=2,
        )
    with torch.device("meta"):  # counts parameters without allocating them
        model: nn.Module = instantiate_group(config.model, **data.model_arguments)
    weights = _size([*model.parameters(), *model.buffers()])
    state = _optimizer_state(config, model)
    gradients = _size(model.parameters())
    _check_memory(device, weights + gradients + state)
    pixels = 0
    if config.task.name == "denoising":
        pixels = max(int(images.sizes.prod(1).max()) for images in data.test.values())
    _check_folder(run, CHECKPOINTS * (weights + state) + PANELS * pixels * BYTES_PER_PIXEL + TABLES)


def _check_device(trainer: DictConfig) -> str:
    """Return "cuda", "mps" or "cpu"."""
    accelerator, precision = trainer.accelerator, str(trainer.precision)
    gpu = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else ""
    missing = {"gpu": not gpu, "cuda": gpu != "cuda", "mps": gpu != "mps"}
    if missing.get(accelerator):
        raise ConfigError(
            f"trainer.accelerator={accelerator}, but PyTorch sees none here; "
            "ask for one (SLURM: --gres=gpu:1), or choose trainer.accelerator=cpu"
        )
    device = gpu if accelerator in (*missing, "auto") and gpu else "cpu"
    if device == "cuda":
        _check_devices(trainer.devices, torch.cuda.device_count())
    if device == "cpu" and precision.startswith("16"):
        raise ConfigError(f"trainer.precision={precision} is for GPUs; choose bf16-mixed or 32-true on a CPU")
    if device == "cpu" and precision.startswith("bf16") and not has_bfloat16_instructions():
        warnings.warn(
            f"trainer.precision={precision}: this CPU has no instructions for bfloat16, so 32-true (a different "
            "run) may be as fast",
            stacklevel=2,
        )
    if device == "cuda" and precision.startswith("bf16") and not torch.cuda.is_bf16_supported(False):
        raise ConfigError(
            f"trainer.precision={precision}: {torch.cuda.get_device_name()} has no bfloat16; choose 16-mixed or 32-true"
        )
    return device


def has_bfloat16_instructions() -> bool:
    """Tell whether the CPU has bfloat16 instructions; otherwise oneDNN emulates them with several others."""
    if not hasattr(torch.cpu, "get_capabilities"):  # an older PyTorch: assume they exist, and do not warn
        return True
    known = torch.cpu.get_capabilities()
    return any(known.get(name) for name in BFLOAT16)


def _check_devices(wanted: Any, there: int) -> None:
    positions = list(wanted) if OmegaConf.is_list(wanted) else [wanted - 1] if isinstance(wanted, int) else []
    if any(isinstance(position, int) and position >= there for position in positions):
        raise ConfigError(
            f"trainer.devices={wanted}, but PyTorch sees {there} GPU{'s' * (there > 1)}; ask for more, or use those"
        )


def _optimizer_state(config: DictConfig, model: nn.Module) -> int:
    """Return the bytes of the optimiser state, from a step on the meta device."""
    try:
        optimizer = instantiate_group(config.optimizer)(model.parameters())
        for parameter in model.parameters():
            parameter.grad = torch.empty_like(parameter)
        optimizer.step()
    except Exception:  # `build_task` reports invalid values
        return 0
    return _size(value for entry in optimizer.state.values() for value in entry.values() if isinstance(value, Tensor))


def _check_memory(device: str, needed: int) -> None:
    if device == "cuda":
        there = torch.cuda.get_device_properties(0).total_memory
    else:
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > there:
        raise ConfigError(
            f"weights, gradients and optimiser need {decimal(needed)} of memory, where there are {decimal(there)}; "
            "choose a smaller model.width or model.depth"
        )


def _check_folder(run: Run, needed: int) -> None:
    """Check that the folder of the run is writable and that its file system has room."""
    folder = run.directory
    while not os.path.lexists(folder):
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        raise ConfigError(
            f"the run folder {run.directory} cannot be written ({error.strerror}); set paths.output_dir"
        ) from error
    # A resumed run already has some of these files.
    kept = [path for path in run.directory.rglob("*") if path.is_file()] if folder == run.directory else []
    needed -= sum(path.stat().st_size for path in kept)
    if free < needed:
        raise ConfigError(
            f"the run will write about {decimal(needed)} to {run.directory}, where {decimal(free)} are free; "
            "make room there, or set paths.output_dir"
        )


def _size(tensors: Any) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
