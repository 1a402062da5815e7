"""Load checkpoints of the authors' own layers.

Their layers (github.com/cammarasana123/weightedConvolution and weightedConvolution2.0) store the density next to the
weights, under a name that differs between versions. The names are known, but not every shape, so densities are checked
and implausible ones refused.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from wconv.checkpoints import fitted, unwrapped
from wconv.density import Coefficients, axis_coefficients, check_phi, density_function
from wconv.modules import TRAINED, WEIGHTED, Weighted

# Coefficients per axis, or Phi tap by tap if it is not an outer product.
_Read = tuple[Coefficients, ...] | Tensor


def load_reference_state_dict(model: nn.Module, state_dict: Mapping[str, Any]) -> None:
    """Load a checkpoint of the authors' layers, densities included, in place.

    For each convolution the checkpoint may hold, besides `weight` and `bias`,

    - `den`: the (k - 1) / 2 coefficients, outermost first, one list for all axes;
    - `alfa`: the whole symmetric vector of k numbers, one for all axes; it is divided by its centre;
    - `Phi`: the density tap by tap, of the kernel's shape behind any number of axes of size 1, with 1 at the centre.
      An outer product of one vector becomes coefficients, anything else is kept as it is.

    Plain layers with a density in the checkpoint become weighted ones, as in `wconv.convert`. Fixed densities are
    replaced; a trained one stays the same parameter and gets the values of the checkpoint. Layers without a density in
    the checkpoint keep theirs. The values are taken as stored: 0.7 saved in float32 is 0.699999988.

    Args:
        model: the architecture of the checkpoint, with `torch.nn.Conv1d`, `Conv2d`, `Conv3d` or weighted layers.
        state_dict: what `torch.load` returns: a state_dict, or a dictionary that holds one under a usual name such as
            `state_dict`, `model` or `params`. Prefixes that all keys share (`module.`, `model.`) are ignored.

    Raises:
        ValueError: keys are unknown or missing, a tensor has another shape than the model's, or a density cannot be
            read. The model is unchanged then.

    Warns:
        UserWarning: `den`, which the authors' trainable layer trains, was loaded into layers of fixed density.
    """
    rest = fitted(unwrapped(state_dict), model)
    fixed: list[str] = []
    densities: dict[nn.Module, _Read] = {}
    for name, layer in model.named_modules(remove_duplicate=False):
        if not isinstance(layer, Weighted) and type(layer) not in WEIGHTED:
            continue
        prefix = f"{name}." if name else ""
        trains = isinstance(layer, Weighted) and layer.density_coefficients is not None
        if prefix + TRAINED in rest and not trains:
            raise ValueError(
                f"layer {name!r}: the checkpoint has a trained density ({TRAINED}), this layer a fixed one: first "
                "convert the model with trainable=True and the parametrization that was used in training"
            )
        found = {key: rest.pop(prefix + key) for key in _READERS if prefix + key in rest}
        try:
            read = [_READERS[key](tensor, layer.kernel_size) for key, tensor in found.items()]
            if read:
                densities[layer] = _agreed(read, list(found))
                fixed += [prefix + "den"] if "den" in found and found["den"].numel() and not trains else []
                if isinstance(layer, Weighted) and trains:
                    rest[prefix + TRAINED] = _free(layer, densities.pop(layer))
        except ValueError as error:
            raise ValueError(f"layer {name!r}: {error}") from None
    _check_keys(model, rest)
    _check_shared(model, rest)

    for layer, density in densities.items():
        if not isinstance(layer, Weighted):
            layer.__class__ = WEIGHTED[type(layer)]  # type: ignore[index]
        assert isinstance(layer, Weighted)
        layer.set_density(density)
    model.load_state_dict(rest, strict=True)
    if fixed:
        warnings.warn(
            f"loaded as fixed densities, which are not trained: {', '.join(fixed)}. To go on training them, "
            "convert the model with trainable=True before you load the checkpoint",
            stacklevel=2,
        )


def _read_den(den: Tensor, kernel_size: tuple[int, ...]) -> _Read:
    """Return the coefficients of all axes."""
    size = _one_size(kernel_size, "den")
    if den.numel() != size // 2:
        raise ValueError(f"den holds {den.numel()} numbers; a kernel of {size} taps per axis has {size // 2}")
    return axis_coefficients(_exact(den).flatten().tolist(), kernel_size)


def _read_alfa(alfa: Tensor, kernel_size: tuple[int, ...]) -> _Read:
    """Return the first half of the symmetric vector, divided by its centre."""
    size = _one_size(kernel_size, "alfa")
    if alfa.numel() != size:
        raise ValueError(f"alfa holds {alfa.numel()} numbers; a kernel of {size} taps per axis has {size}")
    vector = _exact(alfa).flatten()
    if not torch.equal(vector, vector.flip(0)):
        raise ValueError(f"alfa {vector.tolist()} is not symmetric")
    if vector[size // 2] == 0:
        raise ValueError(f"alfa {vector.tolist()} is 0 at its centre, which should be 1")
    return axis_coefficients((vector[: size // 2] / vector[size // 2]).tolist(), kernel_size)


def _read_phi(phi: Tensor, kernel_size: tuple[int, ...]) -> _Read:
    """Return the coefficients, or Phi if it is not the outer product of one vector."""
    leading, shape = phi.shape[: -len(kernel_size)], phi.shape[-len(kernel_size) :]
    if shape != kernel_size or any(size != 1 for size in leading):
        raise ValueError(f"Phi of shape {tuple(phi.shape)} does not fit a kernel of {kernel_size}")
    taps = _exact(phi).reshape(kernel_size)
    centre = tuple(size // 2 for size in kernel_size)
    if taps[centre] != 1:
        raise ValueError(f"Phi is {taps[centre].item():g} at its centre, where a density is 1")
    taps = check_phi(taps, kernel_size)
    if len(set(kernel_size)) == 1:
        half = taps.movedim(0, -1)[centre[1:]][: centre[0]].tolist()  # along the first axis, through the centre
        product = density_function([half] * len(kernel_size))
        # The authors compute the product in the dtype of the checkpoint, which rounds it once or twice.
        if torch.allclose(product, taps, rtol=4 * torch.finfo(phi.dtype).eps, atol=0):
            return (half,) * len(kernel_size)
    return taps


_READERS: dict[str, Callable[[Tensor, tuple[int, ...]], _Read]] = {
    "den": _read_den,
    "alfa": _read_alfa,
    "Phi": _read_phi,
}


def _exact(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", torch.float64)


def _one_size(kernel_size: tuple[int, ...], key: str) -> int:
    if len(set(kernel_size)) > 1:
        raise ValueError(f"{key} is one vector for all axes, and the kernel of {kernel_size} has axes of several sizes")
    return kernel_size[0]


def _agreed(read: list[_Read], keys: list[str]) -> _Read:
    """Return the first of several densities of a layer, which must all agree."""
    products = [entry if isinstance(entry, Tensor) else density_function(entry) for entry in read]
    if not all(torch.allclose(products[0], product, rtol=1e-2) for product in products):  # half precision may be mixed
        raise ValueError(f"{' and '.join(keys)} stand for different densities")
    return read[0]


def _free(layer: Weighted, density: _Read) -> Tensor:
    """Return the values of the layer's trained parameter for a density."""
    assert layer.density_coefficients is not None
    if isinstance(density, Tensor):
        raise ValueError("Phi is not the outer product of one vector, so it cannot be the start of a trained density")
    values = [value for axis in density for value in axis][: layer.density_coefficients.numel()]
    numbers = torch.tensor(values, dtype=torch.float64, device="cpu")
    return numbers if layer._parametrization is None else layer._parametrization.free(numbers)


def _check_keys(model: nn.Module, rest: Mapping[str, Tensor]) -> None:
    """Refuse what `load_state_dict` would refuse, but before anything is copied.

    Raises:
        ValueError: keys or shapes differ.
    """
    own = model.state_dict()
    faults = {
        "unknown": [key for key in rest if key not in own],
        # A trained density may be missing from the checkpoint; it then stays unchanged.
        "missing": [key for key in own if key not in rest and key.rpartition(".")[2] != TRAINED],
        "of another shape": [key for key in own if key in rest and _shape(own[key]) != _shape(rest[key])],
    }
    if any(faults.values()):
        listed = "; ".join(f"{fault}: {', '.join(keys)}" for fault, keys in faults.items() if keys)
        raise ValueError(f"the checkpoint does not fit the model, and nothing was loaded ({listed})")


def _shape(entry: object) -> tuple[int, ...] | None:
    """Return the shape of a tensor; an extra state of a module may be anything."""
    return tuple(entry.shape) if isinstance(entry, Tensor) else None


def _check_shared(model: nn.Module, rest: Mapping[str, Tensor]) -> None:
    """Refuse different values for a trained density that layers share.

    Raises:
        ValueError: the values differ.
    """
    first: dict[nn.Parameter, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if name.rpartition(".")[2] == TRAINED and name in rest:
            other = first.setdefault(parameter, name)
            if not torch.equal(rest[other], rest[name]):
                raise ValueError(f"{other} and {name} are one parameter, and the checkpoint has two values for it")
