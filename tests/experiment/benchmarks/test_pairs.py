"""Timing in alternating pairs, by a clock of the test's own."""

import argparse
import sys
from types import SimpleNamespace

import pytest

from wconv.experiment.benchmarks import pairs
from wconv.experiment.benchmarks.pairs import (
    Quartiles,
    Ratio,
    add_pair_arguments,
    ratio,
    ratios,
    seconds_in_turn,
    timer_of,
)


class Clock:
    """A timer on whose clock a piece of work takes as long as it says; it grows slower with every call."""

    def __init__(self, drift: float = 1.0) -> None:
        self.slowness, self.drift, self.calls = 1.0, drift, []

    def __call__(self, work) -> float:
        self.slowness *= self.drift
        self.calls.append(work())
        return self.slowness * self.calls[-1]


def test_quartiles_are_the_median_and_what_holds_the_middle_half():
    assert Quartiles.of([5.0, 1.0, 2.0, 4.0, 3.0]) == Quartiles(3.0, 2.0, 4.0)
    assert Quartiles.of([1.5]) == Quartiles(1.5, 1.5, 1.5)
    assert str(Quartiles(1.0186, 0.99, 1.1)) == "1.019 (0.990 to 1.100)"


def test_a_ratio_is_first_by_second():
    assert ratios(lambda: 3.0, lambda: 2.0, pairs=4, timer=Clock()) == Ratio(1.5, 1.5, 1.5)


def test_a_ratio_is_of_the_same_round():
    assert ratio([2.0, 4.0, 12.0], [1.0, 2.0, 4.0]) == Ratio(2.0, 2.0, 2.5)
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        ratio([2.0, 4.0], [1.0])


def test_who_is_first_changes_so_a_machine_that_slows_down_favours_nobody():
    clock = Clock(drift=1.1)
    found = ratios(lambda: 3.0, lambda: 2.0, pairs=20, timer=clock)
    assert clock.calls[:4] == [3.0, 2.0, 2.0, 3.0]
    assert found.low == pytest.approx(1.5 / 1.1)
    assert found.high == pytest.approx(1.5 * 1.1)
    assert found.median == pytest.approx(1.5, rel=0.01)


def test_warm_up_is_not_timed():
    calls = []
    seconds = seconds_in_turn({name: lambda name=name: calls.append(name) or 1.0 for name in "ab"}, 2, Clock(), 3)
    assert seconds == {"a": [1.0, 1.0], "b": [1.0, 1.0]}
    assert "".join(calls) == "ababab" + "abba"


def test_the_order_of_three_turns():
    clock = Clock()
    seconds_in_turn({"a": lambda: 1, "b": lambda: 2, "c": lambda: 3}, 3, clock, warm_up=0)
    assert clock.calls == [1, 2, 3, 2, 3, 1, 3, 1, 2]


def test_a_cpu_is_timed_from_before_the_work_to_after_it(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(pairs.time, "perf_counter", lambda: now[0])
    assert timer_of("cpu")(lambda: now.append(now.pop() + 2.5)) == 2.5


def test_a_gpu_is_timed_by_events_on_its_own_clock(monkeypatch):
    """The stream gets the events around the work, and both ends wait until the GPU has nothing left to do."""
    happened = []

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            happened.append("event")

        def elapsed_time(self, end):
            happened.append("read")
            return 1500.0  # milliseconds

    cuda = SimpleNamespace(is_available=lambda: True, Event=Event, synchronize=lambda: happened.append("synchronise"))
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert timer_of("cuda")(lambda: happened.append("work")) == 1.5
    assert happened == ["synchronise", "event", "work", "event", "synchronise", "read"]


@pytest.mark.parametrize("wrong", ["0", "-1", "many"])
def test_a_number_of_pairs_is_from_1_up(wrong, capsys):
    parser = argparse.ArgumentParser()
    add_pair_arguments(parser, pairs=7)
    assert parser.parse_args([]).pairs == 7
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args([f"--pairs={wrong}"])
    assert f"invalid positive whole number value: '{wrong}'" in capsys.readouterr().err
