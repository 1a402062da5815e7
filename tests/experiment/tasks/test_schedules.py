from functools import partial

import pytest
import torch

from wconv.experiment.tasks import schedules


def rates(make, steps=100, **options) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    schedule = make(optimizer, total_steps=steps, **options)
    seen = []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return seen


def test_one_cycle_peaks_where_the_warm_up_ends():
    seen = rates(schedules.one_cycle, warmup=0.3)
    assert max(seen) == pytest.approx(0.5)
    assert seen.index(max(seen)) == 29
    assert seen[-1] < 1e-4


def test_cosine_ends_at_its_floor():
    seen = rates(schedules.cosine, warmup=0.0, floor=0.1)
    assert seen[0] == pytest.approx(0.5)
    assert seen[50] == pytest.approx(0.275)
    assert seen[-1] == pytest.approx(0.05, rel=0.02)


def test_cosine_climbs_in_a_line_first():
    seen = rates(schedules.cosine, warmup=0.1, floor=0.0)
    assert seen[:10] == pytest.approx([0.5 * (1 + 9 * i / 10) / 10 for i in range(10)])
    assert seen[10] == pytest.approx(0.5)
    assert seen[-1] < 0.001


def test_multistep_falls_at_its_milestones():
    seen = rates(schedules.multistep, milestones=[0.3, 0.6], gamma=0.2)
    assert [seen[i] for i in (0, 29, 30, 59, 60, 99)] == pytest.approx([0.5, 0.5, 0.1, 0.1, 0.02, 0.02])


def test_constant_stays():
    assert set(rates(schedules.constant)) == {0.5}


def test_groups_have_schedules_of_their_own_and_the_first_is_that_of_a_run_without_a_second():
    weights, density = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
    optimizer = torch.optim.SGD([{"params": [weights]}, {"params": [density], "lr": 0.01}], lr=0.5)
    cycle = partial(schedules.one_cycle, warmup=0.3)
    schedule = schedules.per_group(cycle, lambda step: 1 / (1 + step), optimizer, 100)
    seen = []
    for _ in range(100):
        seen.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    assert [first for first, _ in seen] == pytest.approx(rates(schedules.one_cycle, warmup=0.3), rel=1e-12)
    assert [second for _, second in seen] == pytest.approx([0.01 / (1 + step) for step in range(100)])


def test_warm_restarts_are_those_of_pytorch():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=10, T_mult=2)
    for step in range(75):
        assert schedules.warm_restarts(step, first=10, factor=2) == pytest.approx(theirs.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        theirs.step()


@pytest.mark.parametrize("make", [schedules.one_cycle, schedules.cosine])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_runs_of_a_few_steps(make, steps):
    options = {"floor": 0.0} if make is schedules.cosine else {}
    assert len(rates(make, steps=steps, warmup=0.3, **options)) == steps
