"""Weighted convolution (Cammarasana & Patanè, arXiv 2505.24558) for PyTorch.

The names below are imported lazily, on first use, because the commands in `wconv.experiment` must show their help and
reject wrong arguments without importing PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wconv import families
    from wconv.conversion import convert, fold, is_folded
    from wconv.equivalence import standard_twin
    from wconv.functional import weighted_conv1d, weighted_conv2d, weighted_conv3d
    from wconv.modules import WeightedConv1d, WeightedConv2d, WeightedConv3d
    from wconv.parametrization import Bounded, Positive
    from wconv.reference import load_reference_state_dict
    from wconv.report import summary
    from wconv.training import density_parameters, param_groups

__version__ = "0.1.0"
__all__ = [
    "Bounded",
    "Positive",
    "WeightedConv1d",
    "WeightedConv2d",
    "WeightedConv3d",
    "convert",
    "density_parameters",
    "families",
    "fold",
    "is_folded",
    "load_reference_state_dict",
    "param_groups",
    "standard_twin",
    "summary",
    "weighted_conv1d",
    "weighted_conv2d",
    "weighted_conv3d",
]
_MODULES = {
    "conversion": ("convert", "fold", "is_folded"),
    "equivalence": ("standard_twin",),
    "functional": ("weighted_conv1d", "weighted_conv2d", "weighted_conv3d"),
    "modules": ("WeightedConv1d", "WeightedConv2d", "WeightedConv3d"),
    "parametrization": ("Bounded", "Positive"),
    "reference": ("load_reference_state_dict",),
    "report": ("summary",),
    "training": ("density_parameters", "param_groups"),
}


def __getattr__(name: str) -> Any:
    """Load a public name from the module that defines it (PEP 562)."""
    if name == "families":
        return import_module("wconv.families")
    for module, names in _MODULES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"wconv.{module}"), name)
            return value
    raise AttributeError(f"module 'wconv' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List all public names, loaded or not."""
    return sorted({*globals(), *__all__})
