import pytest
import torch

from wconv.experiment import schedules


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


@pytest.mark.parametrize("make", [schedules.one_cycle, schedules.cosine])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_runs_of_a_few_steps(make, steps):
    options = {"floor": 0.0} if make is schedules.cosine else {}
    assert len(rates(make, steps=steps, warmup=0.3, **options)) == steps
