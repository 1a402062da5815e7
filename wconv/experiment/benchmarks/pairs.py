"""Timing in alternating pairs: what else happens on a shared machine falls on both sides of a ratio alike."""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from wconv.experiment.common.argument_types import positive
from wconv.experiment.common.exceptions import ConfigError

Work = Callable[[], object]
Timer = Callable[[Work], float]


@dataclass(frozen=True)
class Quartiles:
    """Median, first and third quartile."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Return those of some values."""
        low, median, high = np.percentile(values, [25, 50, 75]).tolist()
        return cls(median, low, high)

    def __str__(self) -> str:
        return f"{self.median:.3f} ({self.low:.3f} to {self.high:.3f})"


class Ratio(Quartiles):
    """Those of ratios, which another run on the same kind of machine can be held to; of times it cannot."""


def cpu_seconds(work: Work) -> float:
    """Return how many seconds a piece of work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def cuda_seconds(work: Work) -> float:
    """Return how long a GPU takes over what a piece of work gives it to do, from an idle GPU to an idle GPU."""
    import torch

    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    torch.cuda.synchronize()
    start.record()
    work()
    end.record()
    torch.cuda.synchronize()
    return float(start.elapsed_time(end)) / 1000


def timer_of(device: str) -> Timer:
    """Return how work on a device is timed: "cpu" or "cuda".

    Raises:
        ConfigError: there is no GPU.
    """
    if device == "cpu":
        return cpu_seconds
    import torch

    if not torch.cuda.is_available():
        raise ConfigError("--device cuda: PyTorch finds no GPU here; leave --device out")
    return cuda_seconds


def seconds_in_turn(
    works: Mapping[str, Work], rounds: int, timer: Timer = cpu_seconds, warm_up: int = 1
) -> dict[str, list[float]]:
    """Time several pieces of work, each round all of them one after the other, in an order that turns.

    Args:
        works: what to time, by name; each call does the work once.
        rounds: how often each is timed.
        timer: see `timer_of`.
        warm_up: how often each is called before.

    Returns:
        For each name the seconds of each round.
    """
    names = list(works)
    for _ in range(warm_up):
        for name in names:
            works[name]()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            seconds[name].append(timer(works[name]))
    return seconds


def ratio(first: Sequence[float], second: Sequence[float]) -> Ratio:
    """Return the quartiles of the first seconds divided by the second ones of the same round."""
    return Ratio.of([one / other for one, other in zip(first, second, strict=True)])


def ratios(first: Work, second: Work, pairs: int, timer: Timer = cpu_seconds, warm_up: int = 1) -> Ratio:
    """Time two pieces of work in alternating pairs, and return the quartiles of first / second.

    Args:
        first: does the work once.
        second: what it is compared with.
        pairs: how often both are timed.
        timer: see `timer_of`.
        warm_up: how often each is called before.
    """
    seconds = seconds_in_turn({"first": first, "second": second}, pairs, timer, warm_up)
    return ratio(seconds["first"], seconds["second"])


def add_pair_arguments(parser: argparse.ArgumentParser, pairs: int) -> None:
    """Add the options of a benchmark that times in pairs: how many, and on which device.

    Args:
        parser: of the sub-command.
        pairs: how many where nothing is said.
    """
    parser.add_argument("--pairs", type=positive, default=pairs, help="rounds of the timings (%(default)s)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="where the networks are (%(default)s)")
