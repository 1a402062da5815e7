"""The weighted convolution layers.

    y = conv(x, W * Phi) + b            (elementwise product)

Source: Cammarasana & Patanè, arXiv 2505.24558.
"""

import warnings
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from itertools import accumulate, pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from wconv.density import Density, axis_coefficients, check_phi, density_function, is_per_axis, spelled_out
from wconv.distributed import is_fully_sharded, is_sharded, replicated_like, spread_like, whole, with_base
from wconv.functional import check_fits
from wconv.parametrization import Parametrization
from wconv.torch_private import ConvNd, is_transient

TRAINED = "density_coefficients"


class Weighted(ConvNd):
    """A convolution whose kernel is multiplied, tap by tap, by a symmetric density; base of the layers below.

    The parameters are those of the plain layer, under the same names. A fixed density is neither a parameter nor a
    buffer, so a checkpoint of either layer loads into the other, and a model built on the meta device needs no density
    to be loaded: Phi is computed from its exact values for the device and dtype of the weights when they are used.
    A trained density is a parameter, whose key may be missing from a checkpoint.

    Args:
        in_channels: as in `torch.nn.Conv2d`, like all that follow up to `dtype`; the kernel is odd on each axis.
        density: coefficients from the outermost tap inwards, without the centre, which is 1: one list for all axes
            (`[0.7]` for 3x3), or one list per axis (`([0.7], [0.2, 0.8])` for 3x5); or Phi itself, a tensor of the
            shape of the kernel. Tuples and NumPy arrays work like lists or tensors. None means ones.
        trainable_density: train the coefficients along with the weights.
        parametrization: range of trained coefficients: `Positive()`, `Bounded(low, high)`, or None for no limit.

    Attributes:
        density_coefficients: the trained parameter, or None.
        plain: the class of the layer without a density.

    Raises:
        ValueError: the kernel is even, or the density does not fit it.
    """

    plain: ClassVar[type[ConvNd]]
    density_coefficients: nn.Parameter | None
    _phi: Tensor
    _start: Tensor | None
    __jit_unused_properties__: ClassVar[list[str]] = ["density", "coefficients", "has_sharded_density"]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: str | int | tuple[int, ...] = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: torch.dtype | None = None,
        density: Density | None = None,
        trainable_density: bool = False,
        parametrization: Parametrization | None = None,
    ) -> None:
        geometry: Any = (in_channels, out_channels, kernel_size, stride, padding, dilation, groups)
        super().__init__(*geometry, bias, padding_mode, device, dtype)  # type: ignore[call-arg]
        self.set_density(density, trainable_density, parametrization)

    def set_density(
        self,
        density: Density | None,
        trainable: bool = False,
        parametrization: Parametrization | None = None,
    ) -> None:
        """Replace the density of the layer.

        Args:
            density: as in the constructor.
            trainable: make the coefficients a parameter.
            parametrization: range of the coefficients; None for no limit.

        Raises:
            ValueError: the density does not fit the kernel, or cannot be trained.
        """
        start = parameter = None
        density = spelled_out(density, self.kernel_size)
        one_for_all = not is_per_axis(density) and len(set(self.kernel_size)) == 1
        if isinstance(density, Tensor):
            if trainable:
                raise ValueError("a density given tap by tap cannot be trained; give coefficients")
            exact, fixed = check_phi(density, self.kernel_size), None
        else:
            fixed = axis_coefficients(density, self.kernel_size)
            exact = density_function(fixed)
            if trainable:
                numbers = [value for axis in (fixed[:1] if one_for_all else fixed) for value in axis]
                if not numbers:
                    raise ValueError("a kernel of one tap has no coefficient to train")
                start = torch.tensor(numbers, dtype=torch.float64, device="cpu")
                start = start if parametrization is None else parametrization.free(start)
                parameter = nn.Parameter(start.to(self.weight.device, self.weight.dtype))
        self._fixed = fixed
        self._exact = exact  # float64 on the CPU: Phi is rounded only once, however often the layer is cast
        self._start = start  # initial value of the trained parameter, exact for the same reason
        self._parametrization = parametrization if trainable else None
        self._one_for_all = one_for_all
        self.register_parameter(TRAINED, parameter)
        self._phi = self._rounded(self.weight)

    def reset_parameters(self) -> None:
        """Draw weights and bias as the plain layer does, and reset a trained density to its initial value."""
        super().reset_parameters()
        if hasattr(self, "_start"):  # not set yet while the constructor of the plain layer runs
            self.reset_density()

    def reset_density(self) -> None:
        """Reset a trained density to its initial value; a fixed one never changes."""
        if self.density_coefficients is None:
            return
        assert self._start is not None
        with torch.no_grad():
            self.density_coefficients.copy_(spread_like(self._start, self.density_coefficients))

    @property
    def density(self) -> Tensor:
        """Phi, of the shape of the kernel; a trained one carries gradients."""
        return self._density_for(self.weight)

    @property
    def coefficients(self) -> tuple[tuple[float, ...], ...] | None:
        """The current coefficients; if they are sharded, all processes must call this."""
        if self.density_coefficients is None or self.density_coefficients.is_meta:
            return self._fixed
        return tuple(tuple(axis.tolist()) for axis in self._axes(whole(self.density_coefficients.detach())))

    @property
    def has_sharded_density(self) -> bool:
        """Whether reading the density needs communication, which printing a layer must avoid."""
        return self.density_coefficients is not None and is_sharded(self.density_coefficients)

    def _axes(self, free: Tensor) -> list[Tensor]:
        """Split the trained vector into axes; one with the coefficients of a single axis serves all of them."""
        values = free if self._parametrization is None else self._parametrization.coefficients(free)
        halves = [size // 2 for size in self.kernel_size]
        if self._one_for_all:
            return [values] * len(halves)
        ends = list(accumulate(halves, initial=0))
        return [values[start:end] for start, end in pairwise(ends)]

    def plain_kernel(self) -> Tensor:
        """Return what Phi multiplies: W, unless a subclass computes a kernel from it."""
        return self.weight

    def forward(self, input: Tensor) -> Tensor:
        """Return conv(input, W * Phi) + b."""
        kernel = self.plain_kernel()
        if torch.jit.is_scripting():
            phi = self._phi
            if phi.device != kernel.device or phi.dtype != kernel.dtype:
                phi = self._exact.to(kernel)
        elif torch.jit.is_tracing():  # type: ignore[no-untyped-call]
            phi = self._density_for(kernel).type_as(kernel)  # recorded: the traced module can be moved
        else:
            phi = self._density_for(kernel)
            if isinstance(kernel, Tensor):  # not a proxy of torch.fx
                check_fits(phi, kernel)
        return self._conv_forward(input, kernel * phi, self.bias)

    def _density_for(self, kernel: Tensor) -> Tensor:
        """Return Phi with the device, dtype and sharding of a kernel."""
        if self.density_coefficients is not None:
            phi = density_function(self._axes(whole(self.density_coefficients))).to(kernel.dtype)
        else:
            phi = self._kept(kernel)
        return replicated_like(phi, kernel)

    def _kept(self, kernel: Tensor) -> Tensor:
        """Return the fixed Phi, recomputed if the kernel has moved to another device or dtype."""
        phi = self._phi
        if not isinstance(kernel, Tensor):  # a proxy of torch.fx: look at the parameter itself
            kernel = self._parameters.get("weight", phi)
        if phi.device != kernel.device or phi.dtype != kernel.dtype:
            phi = self._rounded(kernel)
            if not (torch.compiler.is_compiling() or is_transient(phi)):
                self._phi = phi
        return phi

    def _rounded(self, kernel: Tensor) -> Tensor:
        """Return Phi computed from its exact values; a copy that training can use even if made in inference mode."""
        if not (kernel.is_floating_point() or kernel.is_complex()):
            raise ValueError(
                f"weights of {kernel.dtype} cannot be multiplied with a density: "
                "call wconv.fold before you change the dtype"
            )
        inference = torch.is_inference_mode_enabled() and not torch.compiler.is_compiling()
        with torch.inference_mode(False) if inference else nullcontext():
            return self._exact.to(kernel.device, kernel.dtype, copy=True)

    def register_parameter(self, name: str, param: nn.Parameter | None) -> None:
        """Register a parameter and cache Phi for new weights at once: compiled code would recompute it at each call."""
        super().register_parameter(name, param)
        if name == "weight" and param is not None and param.is_floating_point() and hasattr(self, "_phi"):
            self._kept(param)

    def __prepare_scriptable__(self) -> Any:
        """Prepare the layer for `torch.jit.script`.

        Raises:
            ValueError: the density is trained.
        """
        if self.density_coefficients is not None:
            raise ValueError("TorchScript takes fixed densities, and this one is trained: wconv.fold(model) first")
        self._density_for(self.weight)
        return self

    def fuse(self) -> nn.Module:
        """Refuse tools that call `fuse` on each layer to merge it (timm's `reparameterize_model`).

        Raises:
            ValueError: always, because fusing code reads W and not W * Phi.
        """
        raise ValueError("a weighted convolution cannot be merged with others as it is: wconv.fold(model) first")

    def become_plain(self, weight: nn.Parameter) -> None:
        """Turn this layer into the plain one, in place; the last step of `wconv.fold`."""
        self.weight = weight
        for attribute in (TRAINED, "_phi", "_exact", "_fixed", "_start", "_parametrization", "_one_for_all"):
            delattr(self, attribute)
        kind: Any = self.plain
        if is_fully_sharded(type(self)) and not is_fully_sharded(kind):
            kind = with_base(type(self), kind)
        self.__class__ = kind

    def extra_repr(self) -> str:
        """Add the density to the repr of the plain layer."""
        text: str = super().extra_repr()  # type: ignore[no-untyped-call]
        if self.has_sharded_density:
            shown = "sharded"
        elif self.coefficients is None:
            shown = "given tap by tap"
        else:
            axes = [[round(value, 4) for value in axis] for axis in self.coefficients]
            shown = str(axes[0] if all(axis == axes[0] for axis in axes) else axes)
        trained = ", trainable_density=True" if self.density_coefficients is not None else ""
        return f"{text}, density={shown}{trained}"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """Move or cast the layer, and Phi with it; `to_empty` resets a trained density to its initial value."""
        was_meta = self.density_coefficients is not None and self.density_coefficients.is_meta
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if self.density_coefficients is None:
            self._density_for(self.weight)
        if was_meta:
            self.reset_density()
        return self

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Load a checkpoint; one of the plain layer leaves a trained density unchanged."""
        if self.density_coefficients is None and f"{prefix}{TRAINED}" in state_dict:
            warnings.warn(
                f"the trained density '{prefix}{TRAINED}' of the checkpoint is ignored, because this layer has a "
                "fixed one: convert the model with trainable=True before you load the checkpoint",
                stacklevel=2,
            )
        if self.density_coefficients is not None and f"{prefix}{TRAINED}" not in state_dict:
            trained = self.density_coefficients.detach()
            if trained.is_meta and self._start is not None and f"{prefix}weight" in state_dict:
                weight = state_dict[f"{prefix}weight"]  # its device is that of assign=True
                trained = spread_like(self._start.to(weight.device, trained.dtype), trained)
            state_dict = {**state_dict, f"{prefix}{TRAINED}": trained}
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


class WeightedConv1d(Weighted, nn.Conv1d):
    """Convolve (N, C, L) or (C, L) with W * Phi; arguments as of `Weighted`, kernels as of `torch.nn.Conv1d`."""

    plain: ClassVar[type[ConvNd]] = nn.Conv1d


class WeightedConv2d(Weighted, nn.Conv2d):
    """Convolve (N, C, H, W) or (C, H, W) with W * Phi; arguments as of `Weighted`, kernels as of `torch.nn.Conv2d`."""

    plain: ClassVar[type[ConvNd]] = nn.Conv2d


class WeightedConv3d(Weighted, nn.Conv3d):
    """Convolve (N, C, D, H, W) or (C, D, H, W) with W * Phi; as `Weighted`, kernels as of `torch.nn.Conv3d`."""

    plain: ClassVar[type[ConvNd]] = nn.Conv3d


# The weighted layer of each plain one.
WEIGHTED: dict[type[ConvNd], type[Weighted]] = {
    kind.plain: kind for kind in (WeightedConv1d, WeightedConv2d, WeightedConv3d)
}
