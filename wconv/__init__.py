"""Weighted convolution (Cammarasana & Patanè, arXiv 2505.24558) for PyTorch."""

from wconv import families
from wconv.convert import convert, fold, is_folded
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
