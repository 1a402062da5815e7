"""The standard convolution that trains exactly like a weighted one.

With V = W * Phi the loss sees V alone, and dL/dW = dL/dV * Phi. A step of SGD on W (momentum and weight decay included,
both linear) is therefore the step on V with the loss gradient of every tap multiplied by Phi^2 and the weight decay as
it is. So a weighted network is a standard one with other initial weights and, for each tap, another step size and so
another ratio of weight decay to step, and nothing else. Two things break the equality: clipping by norm, since the
norms differ, and optimisers that are not linear in the gradient: Adam divides by the gradient's own size, so there the
step on V is multiplied by Phi, once.
"""

import copy

from torch import Tensor, nn

from wconv.conversion import fold
from wconv.modules import Weighted


def standard_twin(model: nn.Module) -> nn.Module:
    """Return a copy with plain convolutions that computes the same function after every step of SGD.

    Args:
        model: with weighted convolutions of fixed density.

    Returns:
        A folded copy whose convolution weights multiply their loss gradient by Phi^2 (a hook on the parameter; weight
        decay is added by the optimiser after it).

    Raises:
        ValueError: a density is trained, or a weight is tied between layers of different densities.
    """
    scales: dict[str, Tensor] = {}
    for name, layer in model.named_modules():
        if isinstance(layer, Weighted):
            if layer.density_coefficients is not None:
                raise ValueError(f"layer {name!r} trains its density; the equivalence holds for fixed ones")
            scales[name] = layer.density.square()
    twin = fold(copy.deepcopy(model))
    if len(list(twin.parameters())) != len(list(model.parameters())):
        raise ValueError("a weight is tied between layers of different densities; one standard weight cannot be both")
    hooked: set[nn.Parameter] = set()  # a tied weight has its gradient scaled once
    for name, scale in scales.items():
        weight = twin.get_submodule(name).weight
        assert isinstance(weight, nn.Parameter)
        if weight in hooked or not weight.requires_grad:
            continue
        hooked.add(weight)
        weight.register_hook(lambda gradient, scale=scale: gradient * scale)  # type: ignore[no-untyped-call]
    return twin
