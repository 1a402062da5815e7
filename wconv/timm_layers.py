"""Weighted versions of the convolution classes of timm: `convert(..., subclasses=SUBCLASSES)`.

This file imports timm, and nothing in the library imports this file. A kernel that timm standardises is multiplied by
Phi afterwards, `y = conv(x, std(W) * Phi) + b`: applied before, standardisation would largely undo the density.
"""

import torch.nn.functional as F
from timm.layers import (
    Conv2dSame,
    ScaledStdConv2d,
    ScaledStdConv2dSame,
    StdConv2d,
    StdConv2dSame,
    conv2d_same,
    pad_same,
)
from torch import Tensor, nn

from wconv.modules import Weighted, WeightedConv2d


class WeightedConv2dSame(WeightedConv2d, Conv2dSame):
    """Convolve with W * Phi, padded as TensorFlow does."""

    plain = Conv2dSame

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        output: Tensor = conv2d_same(input, weight, bias, self.stride, self.padding, self.dilation, self.groups)
        return output


class _Standardised(WeightedConv2d):
    """A kernel of mean 0 and variance 1 per output channel, times a trained gain if the layer has one."""

    plain = nn.Conv2d
    eps: float
    scale: float

    def plain_kernel(self) -> Tensor:
        """Return the standardised kernel."""
        gain = self._parameters.get("gain")
        scale = None if gain is None else (gain * self.scale).view(-1)
        rows = self.weight.reshape(1, self.out_channels, -1)
        kernel = F.batch_norm(rows, None, None, weight=scale, training=True, momentum=0.0, eps=self.eps)
        return kernel.reshape_as(self.weight)

    def become_plain(self, weight: nn.Parameter) -> None:
        """Keep only the product as the kernel; the padding stays."""
        if "gain" in self._parameters:
            del self.gain
        super().become_plain(weight)


class _Same(_Standardised):
    """The same, with TensorFlow's padding if timm cannot know it when the layer is built."""

    same_pad: bool

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self.same_pad:
            input = pad_same(input, self.kernel_size, self.stride, self.dilation)
        output: Tensor = super()._conv_forward(input, weight, bias)
        return output

    def become_plain(self, weight: nn.Parameter) -> None:
        super().become_plain(weight)
        if self.same_pad:
            self.__class__ = Conv2dSame


class WeightedStdConv2d(_Standardised, StdConv2d):
    """Convolve with std(W) * Phi."""


class WeightedStdConv2dSame(_Same, StdConv2dSame):
    """Convolve with std(W) * Phi, padded as TensorFlow does."""


class WeightedScaledStdConv2d(_Standardised, ScaledStdConv2d):
    """Convolve with gain * std(W) * Phi."""


class WeightedScaledStdConv2dSame(_Same, ScaledStdConv2dSame):
    """Convolve with gain * std(W) * Phi, padded as TensorFlow does."""


SUBCLASSES: dict[type[nn.Module], type[Weighted]] = {
    Conv2dSame: WeightedConv2dSame,
    StdConv2d: WeightedStdConv2d,
    StdConv2dSame: WeightedStdConv2dSame,
    ScaledStdConv2d: WeightedScaledStdConv2d,
    ScaledStdConv2dSame: WeightedScaledStdConv2dSame,
}
