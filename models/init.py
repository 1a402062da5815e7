"""Initial weights of the convolutions, the same for every arm of a comparison."""

from torch import nn


def kaiming(model: nn.Module) -> None:
    """Draw every convolution from Kaiming's normal distribution (fan_out, relu), its bias 0, in place.

    The authors' layers start like this (He et al., arXiv 1502.01852). Linear layers keep PyTorch's default.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def pytorch(model: nn.Module) -> None:
    """Leave every layer as the model initialises it.

    Our models keep PyTorch's default: uniform, He's bound with a = sqrt 5, for weight and bias. Libraries may differ.
    """
