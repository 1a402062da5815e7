import pytest
import torch
import torch.nn.functional as F

from wconv.experiment.tasks.classification import ClassificationMetrics


def test_scores_are_those_of_all_images_whatever_the_batches():
    torch.manual_seed(0)
    logits, labels = torch.randn(101, 7), torch.randint(7, (101,))
    scores = ClassificationMetrics(7)
    for batch in torch.arange(101).split(32):
        loss = F.cross_entropy(logits[batch], labels[batch])
        scores.update(logits[batch], labels[batch], loss)
    collected = scores.compute_and_reset("val")
    ranked = logits.argsort(1, descending=True)
    assert collected["val/acc"].item() == pytest.approx((ranked[:, 0] == labels).float().mean().item())
    assert collected["val/acc_top5"].item() == pytest.approx((ranked[:, :5] == labels[:, None]).any(1).float().mean())
    assert collected["val/loss"].item() == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)


def test_a_batch_that_is_not_a_number_shows():
    scores = ClassificationMetrics(3)
    for loss in (1.0, float("nan")):
        scores.update(torch.eye(3), torch.tensor([0, 1, 2]), torch.tensor(loss))
    assert scores.compute_and_reset("val")["val/loss"].isnan()


def test_a_new_pass_starts_from_nothing():
    scores = ClassificationMetrics(3)
    logits = torch.eye(3)
    scores.update(logits, torch.tensor([0, 1, 2]), torch.tensor(1.0))
    assert scores.compute_and_reset("val")["val/acc"] == 1
    scores.update(logits, torch.tensor([1, 2, 0]), torch.tensor(1.0))
    assert scores.compute_and_reset("val") == {"val/acc": 0, "val/loss": 1}
