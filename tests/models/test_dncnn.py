import torch

from models.dncnn import DnCNN


def test_the_grey_one_of_the_paper_has_as_many_weights():
    model = DnCNN()
    assert round(sum(parameter.numel() for parameter in model.parameters()) / 1e6, 2) == 0.56
    keys = list(model.state_dict())
    assert keys[:3] == ["dncnn.0.weight", "dncnn.2.weight", "dncnn.3.weight"]
    assert not any(key.endswith("bias") and value.dim() != 1 for key, value in model.state_dict().items())


def test_what_it_estimates_is_taken_from_the_image():
    model = DnCNN(depth=3, width=4).eval()
    images = torch.randn(2, 1, 20, 24)
    assert torch.equal(model(images), images - model.dncnn(images))
    torch.nn.init.zeros_(model.dncnn[-1].weight)
    assert torch.equal(model(images), images)
