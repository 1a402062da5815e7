"""Limit trained densities: smooth maps from an unconstrained parameter to the coefficients, and their inverses."""

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor


class Parametrization(Protocol):
    """A smooth map of each number, with its inverse."""

    def coefficients(self, free: Tensor) -> Tensor:
        """Return the coefficients of a free parameter."""
        ...

    def free(self, coefficients: Tensor) -> Tensor:
        """Return the free parameter of given coefficients.

        Raises:
            ValueError: no free parameter has these coefficients.
        """
        ...


@dataclass(frozen=True)
class Positive:
    """Coefficients above 0: softplus of the parameter."""

    def coefficients(self, free: Tensor) -> Tensor:
        """Return softplus."""
        return F.softplus(free)

    def free(self, coefficients: Tensor) -> Tensor:
        """Return the inverse of softplus."""
        if (coefficients <= 0).any():
            raise ValueError(f"density {coefficients.tolist()}: Positive() starts from coefficients above 0")
        return coefficients + torch.log(-torch.expm1(-coefficients))


@dataclass(frozen=True)
class Bounded:
    """Coefficients between two numbers: a scaled sigmoid of the parameter."""

    low: float
    high: float

    def __post_init__(self) -> None:
        """Refuse bounds in the wrong order."""
        if not self.low < self.high:
            raise ValueError(f"Bounded({self.low}, {self.high}): the first number must be the smaller one")

    def coefficients(self, free: Tensor) -> Tensor:
        """Return low + (high - low) * sigmoid."""
        return self.low + (self.high - self.low) * torch.sigmoid(free)

    def free(self, coefficients: Tensor) -> Tensor:
        """Return the inverse."""
        if ((coefficients <= self.low) | (coefficients >= self.high)).any():
            raise ValueError(f"density {coefficients.tolist()}: {self} starts from coefficients inside its bounds")
        return torch.logit((coefficients - self.low) / (self.high - self.low))
