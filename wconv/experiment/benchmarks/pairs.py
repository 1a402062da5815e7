"""Timing in alternating pairs, so that other load on a shared machine affects both sides of a ratio alike."""

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
        """Compute the quartiles of some values."""
        low, median, high = np.percentile(values, [25, 50, 75]).tolist()
        return cls(median, low, high)

    def __str__(self) -> str:
        return f"{self.median:.3f} ({self.low:.3f} to {self.high:.3f})"


class Ratio(Quartiles):
    """Quartiles of ratios, which are comparable between runs on the same kind of machine, unlike times."""


def cpu_seconds(work: Work) -> float:
    """Return the wall-clock seconds that a piece of work takes on the CPU."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def cuda_seconds(work: Work) -> float:
    """Return the seconds that a GPU needs for a piece of work, starting and ending idle."""
    import torch

    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    torch.cuda.synchronize()
    start.record()
    work()
    end.record()
    torch.cuda.synchronize()
    return float(start.elapsed_time(end)) / 1000


def timer_of(device: str) -> Timer:
    """Return the timer for a device, "cpu" or "cuda".

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
    """Time several pieces of work: each round runs all of them, in a rotating order.

    Args:
        works: functions to time, by name; each call does the work once.
        rounds: number of timings of each.
        timer: see `timer_of`.
        warm_up: number of untimed calls of each before.

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
        second: the work to compare with.
        pairs: number of timings of both.
        timer: see `timer_of`.
        warm_up: number of untimed calls of each before.
    """
    seconds = seconds_in_turn({"first": first, "second": second}, pairs, timer, warm_up)
    return ratio(seconds["first"], seconds["second"])


def add_pair_arguments(parser: argparse.ArgumentParser, pairs: int) -> None:
    """Add the options of a benchmark in pairs: the number of pairs, and the device.

    Args:
        parser: of the sub-command.
        pairs: default number of pairs.
    """
    parser.add_argument("--pairs", type=positive, default=pairs, help="rounds of the timings (%(default)s)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="where the networks are (%(default)s)")
