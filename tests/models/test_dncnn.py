import pytest
import torch
from torch import nn

from models.dncnn import DnCNN


def convolutions(model):
    return [module for module in model.modules() if isinstance(module, nn.Conv2d)]


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize(("channels", "depth"), [(1, 17), (3, 20)])
def test_the_ones_of_the_paper_have_as_many_weights(channels, depth, batch_norm):
    with torch.device("meta"):
        model = DnCNN(channels, depth, batch_norm=batch_norm)
    assert len(convolutions(model)) == depth
    ends, middle, norm = 2 * channels * 64 * 9, 64 * 64 * 9, 2 * 64
    expected = ends + (depth - 2) * (middle + (norm if batch_norm else 0))
    assert sum(parameter.numel() for parameter in model.parameters()) == expected
    if (channels, batch_norm) == (1, True):
        assert expected == 556_032


@pytest.mark.parametrize("batch_norm", [True, False])
def test_no_convolution_has_a_bias(batch_norm):
    model = DnCNN(depth=4, width=4, batch_norm=batch_norm)
    assert all(conv.bias is None for conv in convolutions(model))
    assert any(isinstance(module, nn.BatchNorm2d) for module in model.modules()) == batch_norm


def test_names_are_those_of_the_widespread_port():
    weights = ["dncnn.0.weight", "dncnn.2.weight", "dncnn.3.weight", "dncnn.3.bias", "dncnn.5.weight"]
    assert [name for name, _ in DnCNN(depth=4).named_parameters()][:5] == weights
    plain = [f"dncnn.{index}.weight" for index in (0, 2, 4, 6)]
    assert list(DnCNN(depth=4, batch_norm=False).state_dict()) == plain


def test_what_it_estimates_is_taken_from_the_image():
    model = DnCNN(depth=3, width=4).eval()
    images = torch.randn(2, 1, 20, 24)
    assert torch.equal(model(images), images - model.dncnn(images))
    torch.nn.init.zeros_(model.dncnn[-1].weight)
    assert torch.equal(model(images), images)


@pytest.mark.parametrize(("kernel_size", "batch_norm"), [(3, True), (5, False), (7, True)])
def test_context_is_how_far_a_pixel_reaches(kernel_size, batch_norm):
    model = DnCNN(depth=3, width=4, kernel_size=kernel_size, batch_norm=batch_norm).double().eval()
    for conv in convolutions(model):
        nn.init.uniform_(conv.weight, 0.1, 1)  # nothing cancels, and no ReLU is shut
    assert model.context == 3 * (kernel_size // 2)
    image = torch.rand(1, 1, 25, 25, dtype=torch.double)
    for distance, reaches in ((model.context, True), (model.context + 1, False)):
        touched = image.clone()
        touched[0, 0, 12, 12 + distance] += 1
        assert (model(touched)[0, 0, 12, 12] != model(image)[0, 0, 12, 12]) == reaches


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize(
    "options", [{}, {"channels": 3, "depth": 5, "width": 6, "kernel_size": 5}, {"depth": 4, "batch_norm": False}]
)
def test_a_file_of_weights_is_enough(prefix, options):
    model = DnCNN(**{"width": 8, **options}).train()
    model(torch.randn(2, options.get("channels", 1), 16, 16))  # the averages of the batch norms leave their start
    again = DnCNN.from_state_dict({prefix + name: value for name, value in model.state_dict().items()})
    assert not again.training
    assert again.context == model.context
    assert list(again.state_dict()) == list(model.state_dict())
    image = torch.randn(1, options.get("channels", 1), 16, 16)
    assert torch.equal(again(image), model.eval()(image))


def test_old_files_without_counts_of_batches_are_read():
    state = {name: value for name, value in DnCNN(width=4).state_dict().items() if "num_batches" not in name}
    assert DnCNN.from_state_dict(state).context == 17


def authors_network(width: int, depth: int, batch_norm: bool) -> nn.Sequential:
    """Return the noise estimator as its author builds it: biases everywhere, an epsilon of 1e-4."""
    layers = [nn.Conv2d(1, width, 3, padding=1), nn.ReLU()]
    for _ in range(depth - 2):
        norm = [nn.BatchNorm2d(width, eps=1e-4)] if batch_norm else []
        layers += [nn.Conv2d(width, width, 3, padding=1), *norm, nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(width, 1, 3, padding=1))


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("prefix", ["model.", "", "module.model.", "dncnn.", "_orig_mod.net.model."])
def test_the_authors_layout_is_read(prefix, batch_norm):
    torch.manual_seed(0)
    theirs = authors_network(6, 5, batch_norm)
    for layer in theirs:
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean)
            nn.init.uniform_(layer.running_var, 1e-5, 1e-3)  # so small that the epsilon counts
    image = torch.rand(1, 1, 16, 16)
    again = DnCNN.from_state_dict({prefix + name: value for name, value in theirs.state_dict().items()})
    torch.testing.assert_close(again(image), image - theirs.eval()(image))


def test_biases_may_be_where_they_are():
    """The author's training program has one at the first convolution alone."""
    model = DnCNN(depth=4, width=4)
    state = {**model.state_dict(), "dncnn.0.bias": torch.randn(4)}
    again = DnCNN.from_state_dict(state)
    assert [conv.bias is not None for conv in convolutions(again)] == [True, False, False, False]
    assert torch.equal(again.dncnn[0].bias, state["dncnn.0.bias"])


STATE = DnCNN(depth=4, width=4).state_dict()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "found nothing"),
        ({"conv1.weight": torch.zeros(4, 1, 3, 3), "conv1.bias": torch.zeros(4)}, "found conv1.weight, conv1.bias"),
        ({"model.0.weight": torch.zeros(4, 1, 3, 3), "model.0.bias": torch.zeros(4)}, "model.depth=1"),
        ({"dncnn.0.weight": torch.zeros(4)}, "no kernel is called dncnn.0.weight"),
        ({"dncnn.0.weight": torch.zeros(4, 1, 3, 3)}, "model.depth=1"),
        ({**STATE, "dncnn.0.weight": torch.zeros(4, 2, 3, 3)}, "datamodule.channels=2"),
        ({**STATE, "dncnn.0.weight": torch.zeros(4, 1, 3, 5)}, "size mismatch for dncnn.0.weight"),
        ({**STATE, "dncnn.0.bias": torch.zeros(5)}, "size mismatch for dncnn.0.bias"),
        ({**STATE, "dncnn.1.bias": torch.zeros(4)}, "dncnn.1.bias is none of its weights"),
        ({**STATE, "head.weight": torch.zeros(4)}, "head.weight is none of its weights"),
        ({name: value for name, value in STATE.items() if name != "dncnn.3.running_var"}, "dncnn.3.running_var"),
        ({"epoch": 3, "state_dict": STATE}, "found epoch, state_dict"),
        ({**STATE, "dncnn.0.weight": 3}, "not those of a DnCNN"),
    ],
)
def test_other_weights_are_refused_in_one_sentence(state, message):
    with pytest.raises(ValueError, match=message) as caught:
        DnCNN.from_state_dict(state)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 2}, r"model\.depth=2: "),
        ({"depth": 17.0}, r"model\.depth=17\.0: "),
        ({"width": 0}, r"model\.width=0: "),
        ({"width": 0.5}, r"model\.width=0\.5: .*whole number"),
        ({"width": True}, r"model\.width=True: "),
        ({"kernel_size": 4}, r"model\.kernel_size=4: .*3, 5 or 7"),
        ({"channels": 2}, r"datamodule\.channels=2: "),
    ],
)
def test_what_it_does_not_have_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        DnCNN(**options)
