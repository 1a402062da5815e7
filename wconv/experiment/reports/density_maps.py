"""Draw density functions as images with their values, next to the curves."""

from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wconv.experiment.runs.saved_runs import Taps, format_density

if TYPE_CHECKING:  # Matplotlib takes a second to import, and the page does not need it
    from matplotlib.figure import Figure
    from matplotlib.gridspec import SubplotSpec

MOST = 4


def density_function(taps: Taps) -> NDArray[np.float64]:
    """Return Phi, the outer product of the coefficients of each axis, mirrored about the 1 in their middle.

    Like `wconv.density.density_function`, but without PyTorch.
    """
    axes = [np.array([*half, 1.0, *half[::-1]]) for half in taps]
    return np.asarray(reduce(np.multiply.outer, axes))


def shape(densities: Sequence[tuple[str, Taps]]) -> tuple[int, int]:
    """Return the number of rows and columns of panels for the densities."""
    shown = len(densities[:MOST])
    return (2, (shown + 1) // 2) if shown > 1 else (1, 1)


def draw_densities(figure: "Figure", spec: "SubplotSpec", densities: Sequence[tuple[str, Taps]]) -> None:
    """Draw the first few densities and say how many more there are."""
    axes = spec.subgridspec(*shape(densities)).subplots(squeeze=False).ravel()
    for panel in axes:
        panel.axis("off")
    if not densities:
        axes[0].text(0.5, 0.5, "density Φ\nall taps 1\n(standard)", ha="center", va="center", color="0.35")
    for panel, density in zip(axes, densities[:MOST], strict=False):
        phi = density_function(density[1])
        phi = phi.reshape(-1, phi.shape[-1])
        image = panel.imshow(phi, cmap="cividis", vmin=min(0.0, phi.min()), vmax=max(1.0, phi.max()))
        panel.set_title(f"density Φ, {format_density(density)}", fontsize="small")
        for (row, column), value in np.ndenumerate(phi):
            dark = image.norm(value) < 0.55
            size = min(10.0, 40 / len(phi))
            style = {"color": "white" if dark else "black", "fontsize": size, "ha": "center", "va": "center"}
            panel.text(column, row, f"{value:.3g}", **style)
    if more := len(densities[MOST:]):
        figure.text(0.99, 0.01, f"and {more} more densities", ha="right", va="bottom", fontsize="small")
