"""Weighted convolution (Cammarasana & Patanè, arXiv 2505.24558) for PyTorch."""

from wconv.convert import convert, fold, summary
from wconv.modules import WeightedConv2d

__version__ = "0.1.0"
__all__ = ["WeightedConv2d", "convert", "fold", "summary"]
