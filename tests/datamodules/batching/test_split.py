from itertools import pairwise

import pytest
import torch
from torch import Tensor

from datamodules.batching.split import draw_subset, split_validation

EQUAL = torch.arange(100).repeat(50)  # 100 classes of 50, as CIFAR-100 in small
UNEQUAL = torch.repeat_interleave(torch.arange(6), torch.tensor([400, 200, 100, 50, 20, 5]))
UNEQUAL = UNEQUAL[torch.randperm(len(UNEQUAL), generator=torch.Generator().manual_seed(0))]


def counts(labels: Tensor, positions: Tensor) -> Tensor:
    return labels[positions].bincount(minlength=int(labels.max()) + 1)


@pytest.mark.parametrize("size", [1, 7, 100, 101, 250, 1999, 5000])
def test_equal_classes_differ_by_one_at_most(size: int) -> None:
    drawn = counts(EQUAL, draw_subset(EQUAL, size))
    assert drawn.sum() == size
    assert drawn.max() - drawn.min() <= 1
    assert set(drawn.tolist()) <= {size // 100, -(-size // 100)}


@pytest.mark.parametrize("size", [1, 10, 33, 77, 155, 310, 774, 775])
def test_unequal_classes_come_in_proportion(size: int) -> None:
    drawn = counts(UNEQUAL, draw_subset(UNEQUAL, size))
    proportional = counts(UNEQUAL, torch.arange(len(UNEQUAL))) * size / len(UNEQUAL)
    assert drawn.sum() == size
    assert (drawn - proportional).abs().max() <= 1


@pytest.mark.parametrize(("size", "held"), [(None, 500), (1, 1), (200, 200), (4999, 4999)])
def test_hold_out_splits_without_loss_or_overlap(size: int | None, held: int) -> None:
    kept, out = split_validation(EQUAL, size)
    assert len(out) == held
    assert torch.cat([kept, out]).sort().values.tolist() == list(range(len(EQUAL)))
    for part in (kept, out):
        drawn = counts(EQUAL, part)
        assert drawn.max() - drawn.min() <= 1


def test_held_out_part_of_unequal_classes_is_in_proportion() -> None:
    _, out = split_validation(UNEQUAL, 155)  # a fifth
    assert (counts(UNEQUAL, out) - torch.tensor([80, 40, 20, 10, 4, 1])).abs().max() <= 1


def test_split_is_the_same_every_time_whatever_the_global_seed() -> None:
    torch.manual_seed(1)
    first = draw_subset(UNEQUAL, 100), *split_validation(UNEQUAL, 100)
    torch.manual_seed(2)
    second = draw_subset(UNEQUAL, 100), *split_validation(UNEQUAL, 100)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_split_is_the_one_that_results_were_made_with() -> None:
    """Published numbers rest on this split; a change to it must not go unseen."""
    assert draw_subset(EQUAL, 8).tolist() == [3539, 2586, 418, 1180, 4187, 103, 4937, 4551]


def test_order_is_random_within_and_between_classes() -> None:
    drawn = draw_subset(EQUAL, None)
    assert len(set(EQUAL[drawn[:100]].tolist())) == 100
    assert EQUAL[drawn[:100]].tolist() != EQUAL[drawn[100:200]].sort().values.tolist()
    of_one_class = drawn[EQUAL[drawn] == 7]
    assert of_one_class.tolist() != of_one_class.sort().values.tolist()


@pytest.mark.parametrize("labels", [EQUAL, UNEQUAL], ids=["equal", "unequal"])
def test_subsets_are_nested(labels: Tensor) -> None:
    sizes = [1, 10, 100, 500, len(labels), None]
    subsets = [set(draw_subset(labels, size).tolist()) for size in sizes]
    assert all(small <= large for small, large in pairwise(subsets))
    assert subsets[-1] == set(range(len(labels)))
    held = [set(split_validation(labels, size)[1].tolist()) for size in (1, 10, 100)]
    assert held[0] < held[1] < held[2]


@pytest.mark.parametrize("subset", [0, -1, 776])
def test_impossible_subset_is_refused(subset: int) -> None:
    with pytest.raises(ValueError, match=rf"train_subset={subset}: .*775 training images; choose 1 to 775"):
        draw_subset(UNEQUAL, subset)


@pytest.mark.parametrize("size", [0, -1, 775, 800])
def test_impossible_held_out_part_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=rf"val_size={size}: .*775 training images.*leave one at least on either side"):
        split_validation(UNEQUAL, size)


def test_too_few_images_for_a_tenth_are_refused() -> None:
    with pytest.raises(ValueError, match="0 of 4 training images"):
        split_validation(torch.zeros(4, dtype=torch.int64), None)
