"""The kernels of the first layer, as trained and as applied: W, and W times Phi."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wconv.experiment.reports.density_maps import density_function
from wconv.experiment.reports.page.content import Line, Part, Row, Table, plain
from wconv.experiment.reports.page.crops import data_uri

GROUPS = 12  # of runs shown at most
KERNELS = 32  # of a layer shown at most
ACROSS = 8  # kernels side by side


@dataclass(frozen=True)
class Kernels:
    """The kernels of the first layer of a run.

    Attributes:
        line: the group of the run.
        layer: name of the layer.
        before: W as an image, with zero as middle grey.
        after: W times Phi on the same scale; empty without Phi.
        table: magnitude of each tap, and its Phi.
    """

    line: Line
    layer: str
    before: str
    after: str
    table: Table


def first_kernels(parts: Sequence[Part]) -> list[Kernels]:
    """Return the kernels of one seed for each of the first groups that still have a checkpoint."""
    found: list[Kernels] = []
    for line in (line for part in parts for line in part.lines):
        for run, results in zip(line.group.counted.values(), line.results, strict=True):
            path = run.folder / "checkpoints" / "best.ckpt"
            if len(found) < GROUPS and path.is_file() and (kernels := _read(line, path, results)):
                found.append(kernels)
                break
    return found


def _read(line: Line, path: Path, results: Mapping[str, Any]) -> Kernels | None:
    """Read the first layer of a checkpoint; None if the file is damaged or has no such layer."""
    from wconv.experiment.runs.checkpoint_io import read_checkpoint  # here, because it imports PyTorch

    layers = [layer for layer in results.get("layers", []) if max(layer["kernel_size"]) > 1]
    try:
        weights = read_checkpoint(path)["state_dict"][f"model.{layers[0]['name']}.weight"]
    except (ValueError, OSError, KeyError, IndexError):
        return None
    kernels = np.asarray(weights.float().numpy(), dtype=float)
    if kernels.ndim != 4 or not np.isfinite(kernels).all():
        return None
    taps = layers[0]["density"]
    phi = density_function(tuple(map(tuple, taps))) if taps else np.ones(kernels.shape[2:])
    limit = float(np.abs(kernels).max()) or 1.0
    after = data_uri(_mosaic(kernels * phi, limit)) if taps else ""
    table = _table(line, kernels, phi)
    return Kernels(line, plain(layers[0]["name"]), data_uri(_mosaic(kernels, limit)), after, table)


def _mosaic(kernels: NDArray[np.float64], limit: float) -> Image.Image:
    """Arrange kernels (out, in, height, width) in a grid, with three input channels as red, green and blue."""
    shown = kernels[:KERNELS] if kernels.shape[1] == 3 else kernels[:KERNELS].mean(axis=1, keepdims=True)
    height, width = shown.shape[2:]
    rows = math.ceil(len(shown) / ACROSS)
    across = min(ACROSS, len(shown))
    pixels = np.full((rows * (height + 1) - 1, across * (width + 1) - 1, 4), 0, dtype=np.uint8)
    for place, kernel in enumerate(shown):
        top, left = (place // ACROSS) * (height + 1), (place % ACROSS) * (width + 1)
        tile = np.round(127.5 * (1 + kernel / limit)).clip(0, 255).astype(np.uint8).transpose(1, 2, 0)
        pixels[top : top + height, left : left + width, :3] = tile
        pixels[top : top + height, left : left + width, 3] = 255
    return Image.fromarray(pixels, "RGBA")


def _table(line: Line, kernels: NDArray[np.float64], phi: NDArray[np.float64]) -> Table:
    size, applied = (np.sqrt((values**2).mean(axis=(0, 1))) for values in (kernels, kernels * phi))
    rows = [
        Row([f"{row + 1}, {column + 1}", f"{size[row, column]:.4f}", f"{phi[row, column]:.3g}", f"{value:.4f}"])
        for (row, column), value in np.ndenumerate(applied)
    ]
    title = f"{line.title}: root mean square of each tap over all kernels"
    return Table(title, ["tap (row, column)", "W", "Φ", "W times Φ"], rows, ["tap (row, column)"])
