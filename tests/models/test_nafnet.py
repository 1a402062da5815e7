import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import wconv
from models.nafnet import Block, LayerNorm2d, NAFNet, SimpleGate, pad_to_multiple

SMALL = {"width": 8, "encoder": [1, 1, 1, 1], "middle": 1, "decoder": [1, 1, 1, 1]}


def randomised(model):
    """Let every parameter matter: as they start, the scales of the shortcuts are 0."""
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ({}, 29_159_715),
        ({"width": 64}, 115_982_915),
        ({"encoder": [1, 1, 1, 28], "middle": 1, "decoder": [1, 1, 1, 1]}, 17_111_907),
    ],
)
def test_parameter_counts_are_the_published_ones(options, parameters):
    with torch.device("meta"):
        model = NAFNet(**options)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


def test_multiplications_are_as_many_as_published():
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        NAFNet()(torch.empty(1, 3, 256, 256))
    assert round(counter.get_total_flops() / 2 / 1e9, 2) == 16.05


def test_names_are_those_of_the_published_files():
    with torch.device("meta"):
        shapes = {name: tuple(value.shape) for name, value in NAFNet().state_dict().items()}
    assert {name.split(".")[0] for name in shapes} == {
        "intro",
        "encoders",
        "downs",
        "middle_blks",
        "ups",
        "decoders",
        "ending",
    }
    block = {
        "beta": (1, 64, 1, 1),
        "gamma": (1, 64, 1, 1),
        "norm1.weight": (64,),
        "norm1.bias": (64,),
        "norm2.weight": (64,),
        "norm2.bias": (64,),
        "conv1.weight": (128, 64, 1, 1),
        "conv1.bias": (128,),
        "conv2.weight": (128, 1, 3, 3),
        "conv2.bias": (128,),
        "sca.1.weight": (64, 64, 1, 1),
        "sca.1.bias": (64,),
        "conv3.weight": (64, 64, 1, 1),
        "conv3.bias": (64,),
        "conv4.weight": (128, 64, 1, 1),
        "conv4.bias": (128,),
        "conv5.weight": (64, 64, 1, 1),
        "conv5.bias": (64,),
    }
    prefix = "encoders.1.0."
    assert {name.removeprefix(prefix): shapes[name] for name in shapes if name.startswith(prefix)} == block
    assert shapes["downs.0.weight"] == (64, 32, 2, 2)
    assert shapes["ups.0.0.weight"] == (1024, 512, 1, 1)
    assert "ups.0.0.bias" not in shapes
    assert shapes["middle_blks.11.conv5.bias"] == shapes["downs.3.bias"] == (512,)
    assert shapes["decoders.3.1.beta"] == (1, 32, 1, 1)


@pytest.mark.parametrize("size", [(32, 16), (17, 40), (5, 7), (1, 1)])
@pytest.mark.parametrize(("channels", "kernel_size"), [(3, 3), (1, 5)])
def test_any_size_is_kept(size, channels, kernel_size):
    model = randomised(NAFNet(channels, kernel_size=kernel_size, **SMALL))
    images = torch.rand(2, channels, *size)
    assert model(images).shape == images.shape
    assert model(images).isfinite().all()


def test_padding_reflects_as_torch_does_where_torch_can():
    images = torch.rand(2, 3, 20, 25)
    assert torch.equal(pad_to_multiple(images, 16), F.pad(images, (0, 7, 0, 12), mode="reflect"))
    assert pad_to_multiple(images[..., :16, :16], 16).shape == (2, 3, 16, 16)
    row = torch.tensor([1.0, 2.0, 3.0]).view(1, 1, 1, 3)
    assert pad_to_multiple(row, 8)[0, 0, 0].tolist() == [1, 2, 3, 2, 1, 2, 3, 2]
    assert torch.equal(pad_to_multiple(row, 8), pad_to_multiple(row, 8)[:, :, :1].expand(1, 1, 8, 8))


def test_a_new_block_is_the_identity_and_the_ending_is_added_to_the_image():
    features = torch.randn(2, 6, 8, 8)
    assert torch.equal(Block(6, 3)(features), features)
    model = randomised(NAFNet(**SMALL))
    images = torch.rand(1, 3, 20, 20)
    assert not torch.allclose(model(images), images)
    nn.init.zeros_(model.ending.weight)
    nn.init.zeros_(model.ending.bias)
    assert torch.equal(model(images), images)


def test_every_parameter_is_trained():
    model = randomised(NAFNet(**SMALL))
    model(torch.rand(2, 3, 32, 32)).square().mean().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())


def test_the_whole_image_is_seen():
    model = randomised(NAFNet(**SMALL)).double()
    assert model.context is None
    image = torch.rand(1, 3, 256, 16, dtype=torch.double)
    touched = image.clone()
    touched[0, 0, -1] += 1
    assert model(touched)[0, 0, 0, 0] != model(image)[0, 0, 0, 0]


def test_the_parts_compute_what_the_paper_says():
    features = torch.randn(2, 6, 3, 4) / 1000  # so small that the constant in the norm counts
    assert torch.equal(SimpleGate()(features), features[:, :3] * features[:, 3:])
    norm = randomised(LayerNorm2d(6))
    centred = features - features.mean(1, keepdim=True)
    expected = centred / (centred.square().mean(1, keepdim=True) + 1e-6).sqrt()
    expected = expected * norm.weight.view(-1, 1, 1) + norm.bias.view(-1, 1, 1)
    torch.testing.assert_close(norm(features), expected)


def test_a_block_computes_what_the_paper_says():
    block = randomised(Block(6, 3)).double()
    features = torch.randn(2, 6, 7, 5, dtype=torch.double)
    first, second = block.conv2(block.conv1(block.norm1(features))).split(6, dim=1)
    gated = first * second
    attention = block.sca[1](gated.mean(dim=(2, 3), keepdim=True))
    middle = features + block.beta * block.conv3(attention * gated)
    first, second = block.conv4(block.norm2(middle)).split(6, dim=1)
    torch.testing.assert_close(block(features), middle + block.gamma * block.conv5(first * second))


def test_levels_may_be_empty_and_fewer():
    model = NAFNet(width=4, encoder=[0, 1], middle=0, decoder=[1, 0])
    images = torch.rand(1, 3, 9, 9)
    assert model(images).shape == images.shape
    assert len(list(model.encoders[0])) == len(list(model.middle_blks)) == 0


def test_conversion_takes_the_intro_the_ending_and_all_depthwise_ones():
    model = NAFNet(width=8)
    keys = list(model.state_dict())
    layers = wconv.summary(wconv.convert(model, {3: [0.7]}))
    weighted = {layer.name for layer in layers if layer.density is not None}
    depthwise = {name for name, module in model.named_modules() if getattr(module, "groups", 1) > 1}
    assert len(depthwise) == 2 + 2 + 4 + 8 + 12 + 2 + 2 + 2 + 2
    assert weighted == {"intro", "ending"} | depthwise
    assert {layer.kernel_size for layer in layers if layer.name not in weighted} == {(1, 1), (2, 2)}
    assert list(model.state_dict()) == keys


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, r"model\.width=0: "),
        ({"width": 0.5}, r"model\.width=0\.5: .*whole number"),
        ({"encoder": 4}, r"model\.encoder=4: "),
        ({"encoder": "2248"}, r"model\.encoder=2248: "),
        ({"encoder": []}, r"model\.encoder=\[\]: "),
        ({"encoder": [1, -1]}, r"model\.encoder=-1: "),
        ({"decoder": [1, 0.5]}, r"model\.decoder=0\.5: "),
        ({"encoder": [1, 1]}, r"model\.decoder=\[2, 2, 2, 2\]: expected 2 levels"),
        ({"middle": -1}, r"model\.middle=-1: "),
        ({"kernel_size": 9}, r"model\.kernel_size=9: .*3, 5 or 7"),
        ({"channels": 4}, r"datamodule\.channels=4: "),
    ],
)
def test_what_it_does_not_have_is_refused(options, message):
    with pytest.raises(ValueError, match=message), torch.device("meta"):
        NAFNet(**options)


@pytest.mark.parametrize("prefix", ["", "module.", "net_g.module."])
@pytest.mark.parametrize(
    "options",
    [
        SMALL,
        {"channels": 1, "width": 4, "encoder": [0, 1], "middle": 0, "decoder": [2, 0], "kernel_size": 5},
        {"width": 2, "encoder": [1, 1, 2], "middle": 11, "decoder": [1, 1, 1]},
    ],
)
def test_a_file_of_weights_is_enough(prefix, options):
    model = randomised(NAFNet(**options))
    again = NAFNet.from_state_dict({prefix + name: value for name, value in model.state_dict().items()})
    assert not again.training
    assert again.arguments == model.arguments
    images = torch.rand(2, model.arguments["channels"], 13, 17)
    assert torch.equal(again(images), model(images))


STATE = NAFNet(**SMALL).state_dict()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "no kernel is called intro.weight"),
        ({**STATE, "more.weight": torch.ones(1)}, "more.weight is none of its weights"),
        ({name: value for name, value in STATE.items() if name != "ending.bias"}, "there is no ending.bias"),
        ({**STATE, "ending.bias": torch.ones(2)}, "size mismatch for ending.bias"),
        ({**STATE, "intro.weight": torch.ones(10**6, 3, 3, 3)}, "size mismatch"),
    ],
)
def test_other_weights_are_refused_in_one_sentence(state, message):
    with pytest.raises(ValueError, match=f"not those of a NAFNet.*{message}") as caught:
        NAFNet.from_state_dict(state)
    assert "\n" not in str(caught.value)
