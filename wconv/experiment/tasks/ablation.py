"""The operator taken apart: its start, its step and its decay, each without the others (docs/operator.md)."""

import torch
from torch import nn

import wconv
from wconv.density import density_function
from wconv.experiment.tasks.arms import Densities, LayerDensities, converted, freely_trained
from wconv.experiment.tasks.tap_decay import set_tap_decay
from wconv.modules import Weighted

# The kernel V starts from W * Phi^a * c^b, where c is the root mean square of Phi: a kernel of independent taps has c
# times the expected norm after it is multiplied by Phi.
STARTS = {"none": (0, 0), "phi": (1, 0), "scale": (0, 1), "shape": (1, -1)}


def ablation(
    model: nn.Module, density: Densities, start: str, step: bool, decay: bool, layer_density: LayerDensities = None
) -> nn.Module:
    """Give convolutions some of the three things that tell a weighted one from a plain one.

    All of them are the arm `weighted`, none is `standard`, the start alone is `scaled_init`.

    Args:
        model: the network.
        density: Phi by kernel size.
        start: what the kernel V that is applied starts from: `none`: W; `phi`: W * Phi; `scale`: W times the number
            that gives it the expected norm of W * Phi; `shape`: W * Phi, scaled back to the expected norm of W.
        step: train U with V = U * Phi, so that a step moves each tap of V as it does in a weighted convolution.
        decay: let the weight decay of each tap stand to its step as it does in a weighted convolution.
        layer_density: Phi by the name of a layer (see `arms.converted`).

    Raises:
        ValueError: there is no such start, a kernel is standardised, or a coefficient is 0 and has to be divided by.
    """
    if start not in STARTS:
        raise ValueError(f"conv.start={start}: expected one of {', '.join(STARTS)}")
    of_phi, of_norm = STARTS[start]
    changed = freely_trained(converted(model, density, layer_density))
    for name, layer in [(name, module) for name, module in changed.named_modules() if isinstance(module, Weighted)]:
        assert layer.coefficients is not None
        phi = density_function(layer.coefficients)  # in float64, and rounded once
        power = of_phi - step  # of the trained weights, U with the step and V without it
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
