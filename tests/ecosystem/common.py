"""The network that tools are used on, and what a tool is."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import wconv


@dataclass(frozen=True)
class Tool:
    """What is done with a network.

    Attributes:
        package: that the tool comes from.
        name: for the table.
        use: returns what has to be the same for a weighted network and its folded copy.
        trained: whether the density of the network is trained.
        tolerance: of the comparison, relative to the largest number.
    """

    package: str
    name: str
    use: Callable[[nn.Module], Any]
    trained: bool = False
    tolerance: float = 1e-4


class Network(nn.Module):
    """Convolution, batch norm, convolution; and something linear, for tools that look for that."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.relu = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()
        self.last, self.linear = nn.Conv2d(8, 8, 3), nn.Linear(8, 4)

    def forward(self, images: Tensor) -> Tensor:
        """Return four numbers an image."""
        features: Tensor = self.last(self.relu(self.norm(self.conv(images))))
        output: Tensor = self.linear(features.mean((2, 3)))
        return output


def network(trained: bool = False) -> nn.Module:
    """Return a weighted network whose batch norm has seen something."""
    torch.manual_seed(0)
    model = wconv.convert(Network(), {3: [0.7]}, trainable=trained)
    model(3 * images() + 1)
    return model.eval()


def images() -> Tensor:
    """Return two images."""
    return torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def through_file(save: Callable[[Any, Any], Any], load: Callable[[Any], Any], thing: Any) -> Any:
    """Return what a file holds of a thing."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "file"
        save(thing, file)
        return load(file)
