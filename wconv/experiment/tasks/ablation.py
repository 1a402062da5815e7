"""The ablation arm: start, step and decay of the operator, in any combination (docs/operator.md)."""

import torch
from torch import nn

import wconv
from wconv.density import density_function
from wconv.experiment.tasks.arms import Densities, LayerDensities, converted, freely_trained
from wconv.experiment.tasks.tap_decay import set_tap_decay
from wconv.modules import Weighted

# Exponents (a, b): the kernel V starts from W * Phi^a * c^b. c is the root mean square of Phi, the factor by which
# multiplying by Phi changes the expected norm of a kernel with independent taps.
STARTS = {"none": (0, 0), "phi": (1, 0), "scale": (0, 1), "shape": (1, -1)}


def ablation(
    model: nn.Module, density: Densities, start: str, step: bool, decay: bool, layer_density: LayerDensities = None
) -> nn.Module:
    """Give plain convolutions any subset of the three properties in which weighted ones differ.

    All three give the arm `weighted`, none gives `standard`, the start alone gives `scaled_init`.

    Args:
        model: the network.
        density: Phi by kernel size.
        start: initial value of the applied kernel V: `none`: W; `phi`: W * Phi; `scale`: W scaled to the expected norm
            of W * Phi; `shape`: W * Phi scaled to the expected norm of W.
        step: train U with V = U * Phi, so that a step moves each tap of V as in a weighted convolution.
        decay: give each tap the same ratio of weight decay to step as in a weighted convolution.
        layer_density: Phi by the name of a layer (see `arms.converted`).

    Raises:
        ValueError: `start` is unknown, a kernel is standardised, or the combination would divide by a coefficient of 0.
    """
    if start not in STARTS:
        raise ValueError(f"conv.start={start}: expected one of {', '.join(STARTS)}")
    of_phi, of_norm = STARTS[start]
    changed = freely_trained(converted(model, density, layer_density))
    for name, layer in [(name, module) for name, module in changed.named_modules() if isinstance(module, Weighted)]:
        assert layer.coefficients is not None
        phi = density_function(layer.coefficients)  # in float64, so that it is rounded only once
        power = of_phi - step  # exponent of Phi in the trained weights: U with `step`, V without
        if (phi == 0).any() and (power < 0 or decay > step):
            key = f"the density of {name}, " if layer_density else f"conv.density.k{layer.kernel_size[0]}="
            raise ValueError(
                f"{key}{list(layer.coefficients[0])}: conv.start={start}, conv.step={step} and "
                f"conv.decay={decay} together divide by it, and it has a 0; choose coefficients other than 0"
            )
        factor = phi**power * phi.square().mean().sqrt() ** of_norm
        first = layer.weight.detach() * factor.to(layer.weight)
        if not step:
            wconv.fold(layer)
        with torch.no_grad():
            layer.weight.copy_(first)
        if step != decay:
            set_tap_decay(layer, phi if step else 1 / phi)
    return model
