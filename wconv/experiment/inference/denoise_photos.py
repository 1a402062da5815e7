"""Denoise photos with a trained denoiser, one after the other."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from wconv.experiment.common.text import escape_control_characters, one_line
from wconv.experiment.inference.load import Denoiser
from wconv.experiment.inference.photo import PhotoError, read_photo, write_photo
from wconv.experiment.tasks.random_streams import seeded_generator
from wconv.experiment.tasks.tiles import denoise_tiled

Step = Callable[[int, int], None]

APPROXIMATE_TILE = 768 * 768  # pixels, for models with global context: large, but below 3 GB of memory in total
EXACT_TILE = 512 * 512  # pixels; smaller tiles have more overlap, larger ones need more memory
LINE_EVERY = 5.0  # seconds between progress lines


@dataclass
class Tally:
    """Counts of the results.

    Attributes:
        cleaned: number written.
        approximate: number of those denoised in tiles by a model with global context.
        failed: number that could not be read, cleaned or written.
    """

    cleaned: int = 0
    approximate: int = 0
    failed: int = 0
    said: set[str] = field(default_factory=set)  # messages printed only once


def denoise_photos(places: Mapping[Path, Path], denoiser: Denoiser, sigma: float, fast: bool = False) -> Tally:
    """Denoise photos, and print a line for each; failures go to stderr, and the other photos are still processed.

    Args:
        places: output path and input path of each photo.
        denoiser: the model.
        sigma: standard deviation of white Gaussian noise that is added first (0-255 scale).
        fast: compute in bfloat16.
    """
    tally = Tally()
    network = denoiser.model.to(memory_format=torch.channels_last)
    device = next(network.parameters()).device.type
    for target, source in places.items():
        try:
            photo = read_photo(source)
            _say_channels(tally, len(photo.pixels), denoiser.channels)
            with (
                _progress(escape_control_characters(source.name)) as step,
                torch.autocast(device, torch.bfloat16, enabled=fast),
            ):
                pixels, approximate = denoise_pixels(photo.pixels, denoiser, sigma, step)
            write_photo(replace(photo, pixels=pixels), target)
        except PhotoError as error:
            tally.failed += 1
            print(f"denoise: {escape_control_characters(error)}", file=sys.stderr, flush=True)
        except (RuntimeError, MemoryError) as error:  # raised by PyTorch when memory runs out
            tally.failed += 1
            reason = f"{source} could not be denoised ({one_line(error)}); make room or clean it on another machine"
            print(f"denoise: {escape_control_characters(reason)}", file=sys.stderr, flush=True)
        else:
            tally.cleaned += 1
            tally.approximate += approximate
            remarks = [*photo.remarks, *(["in tiles, which changes it a little"] if approximate else [])]
            line = f"{source} -> {target}" + (f" ({'; '.join(remarks)})" if remarks else "")
            print(escape_control_characters(line), flush=True)
    return tally


@torch.inference_mode()
def denoise_pixels(
    pixels: NDArray[Any], denoiser: Denoiser, sigma: float = 0.0, step: Step | None = None
) -> tuple[NDArray[Any], bool]:
    """Return the denoised pixels, and whether they were denoised in tiles by a model with global context.

    A grey model denoises each colour channel separately; a colour model gets grey as three equal channels, and the
    result is their mean.

    Args:
        pixels: (C, H, W) with C of 1 or 3, uint8 or uint16.
        denoiser: the model.
        sigma: standard deviation of the noise that is added first (0-255 scale); each call draws the same noise.
        step: called with the number of tiles done, and of all tiles.

    Raises:
        RuntimeError: memory ran out, or the model returned NaN or infinite values.
    """
    levels = np.iinfo(pixels.dtype).max
    noisy = torch.from_numpy(pixels.astype(np.float32)).div_(levels)
    if sigma:
        noise = torch.randn(noisy.shape, generator=seeded_generator("denoise"))
        noisy.add_(noise, alpha=sigma / 255)
        del noise
    if denoiser.channels == len(noisy):
        parts = [noisy]
    elif denoiser.channels == 1:
        parts = [noisy[band : band + 1] for band in range(len(noisy))]
    else:
        parts = [noisy.expand(3, -1, -1)]
    cleaned = np.empty_like(pixels, order="C")
    position, approximate = 0, False
    for number, part in enumerate(parts):
        restored, differs = _restore(denoiser, part, _within(step, number, len(parts)))
        approximate |= differs
        if len(restored) > len(pixels):
            restored = restored.mean(0, keepdim=True)
        restored = restored.clamp_(0, 1).mul_(levels).round_()
        cleaned[position : position + len(restored)] = restored.numpy()
        position += len(restored)
    return cleaned, approximate


def _restore(denoiser: Denoiser, noisy: Tensor, step: Step | None) -> tuple[Tensor, bool]:
    """Denoise (C, H, W) on the model's device; the result is on the CPU."""
    device = next(denoiser.model.parameters()).device
    max_pixels = denoiser.max_pixels
    if device.type == "cpu":  # a GPU has its own memory limit
        if getattr(denoiser.model, "context", None) is not None:
            max_pixels = min(max_pixels, EXACT_TILE)  # exact tiles may be small, for speed
        elif noisy[0].numel() > max_pixels:  # needs tiles anyway, so limit their memory
            max_pixels = min(max_pixels, APPROXIMATE_TILE)
    restored, approximate = denoise_tiled(denoiser.model, noisy[None].to(device), max_pixels, step)
    if not bool(torch.isfinite(restored.sum())):
        raise RuntimeError("the model returned NaN or infinite values")
    return restored[0].cpu(), approximate


def _within(step: Step | None, part: int, parts: int) -> Step | None:
    """Wrap `step` to count the tiles of all parts together."""
    return step and (lambda done, of: step(part * of + done, parts * of))


def _say_channels(tally: Tally, has: int, wants: int) -> None:
    if has == wants:
        return
    text = (
        "the denoiser was trained on grey images: colours are denoised one by one"
        if wants == 1
        else "the denoiser was trained on colour images: grey ones go through it as three equal colours"
    )
    if text not in tally.said:
        tally.said.add(text)
        print(text, flush=True)


@contextmanager
def _progress(name: str) -> Iterator[Step]:
    """Show how many tiles are done: a progress bar on a terminal, otherwise a line at intervals."""
    if sys.stdout.isatty():
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TextColumn("tiles"), TimeRemainingColumn(), transient=True) as bar:
            task = bar.add_task(name, total=None)
            yield lambda done, of: bar.update(task, completed=done, total=of)
        return
    last = time.monotonic()

    def line(done: int, of: int) -> None:
        nonlocal last
        if time.monotonic() - last >= LINE_EVERY:
            last = time.monotonic()
            print(f"{name}: {done} of {of} tiles", flush=True)

    yield line
