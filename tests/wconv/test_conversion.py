"""What convert may touch, what it must keep, and what it refuses; test_convert.py has the basics."""

import pytest
import torch
from torch import nn

import wconv
from wconv import Bounded, Positive, WeightedConv1d, WeightedConv2d, WeightedConv3d
from wconv.modules import Weighted

NORMS = [
    nn.utils.parametrizations.weight_norm,
    nn.utils.weight_norm,  # by a hook
    lambda layer: nn.utils.parametrize.register_parametrization(layer, "bias", nn.Identity()),
]
pytestmark = pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")


class Special(nn.Conv2d):
    """A class of somebody else that convolves in its own way."""

    def forward(self, input):
        return super().forward(input.flip(-1))


def network() -> nn.ModuleDict:
    torch.manual_seed(0)
    return nn.ModuleDict({
        "stem": nn.Conv2d(3, 4, 3, padding=1),
        "body": nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 5, padding=2)),
        "head": nn.Sequential(nn.Conv2d(4, 2, 3)),
    })  # fmt: skip


def run(model: nn.ModuleDict) -> torch.Tensor:
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    return model["head"](model["body"](model["stem"](images)))


def weighted_names(model: nn.Module) -> list[str]:
    return [name for name, module in model.named_modules() if isinstance(module, Weighted)]


def snapshot(model: nn.Module) -> list[object]:
    """Return everything that a refused conversion must leave."""
    return [
        [(type(module), list(module._buffers), module.__dict__.keys()) for module in model.modules()],
        [(name, id(parameter), parameter.tolist()) for name, parameter in model.named_parameters()],
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, ["stem", "body.0", "head.0"]),
        ({"include": "body.*"}, ["body.0"]),
        ({"include": ["stem", "head.?"]}, ["stem", "head.0"]),
        ({"include": lambda name, module: module.out_channels == 4}, ["stem", "body.0"]),
        ({"exclude": "stem"}, ["body.0", "head.0"]),
        ({"exclude": ("*.0",)}, ["stem"]),
        ({"exclude": lambda name, module: module.in_channels == 3}, ["body.0", "head.0"]),
        ({"include": "body.*", "exclude": "*.0"}, []),
    ],
)
@pytest.mark.filterwarnings("ignore:density for kernel size")
def test_include_and_exclude(arguments, expected):
    model = wconv.convert(network(), {3: [0.7]}, **arguments)
    assert weighted_names(model) == expected
    notes = {layer.name: layer.note for layer in wconv.summary(model) if layer.kernel_size == (3, 3)}
    assert notes == {n: "" if n in expected else "left out by include or exclude" for n in ("stem", "body.0", "head.0")}


def test_a_trained_density_a_layer():
    model = wconv.convert(network(), {3: [0.7], 5: [0.2, 0.8]}, trainable=True)
    assert [density.tolist() for density in wconv.density_parameters(model)] == [
        pytest.approx(start) for start in ([0.7], [0.7], [0.2, 0.8], [0.7])
    ]
    run(model).square().sum().backward()
    assert all(density.grad.abs().sum() > 0 for density in wconv.density_parameters(model))
    assert all(layer.trainable for layer in wconv.summary(model))


def test_one_density_shared_a_kernel_size_gets_all_gradients():
    apart, model = (
        wconv.convert(network(), {3: [0.7], 5: [0.2, 0.8]}, trainable=trainable) for trainable in (True, "shared")
    )
    for each in (apart, model):
        run(each).square().sum().backward()
    assert len(wconv.density_parameters(model)) == 2
    summed = apart["stem"], apart["body"][0], apart["head"][0]
    expected = sum(layer.density_coefficients.grad for layer in summed)
    torch.testing.assert_close(model["stem"].density_coefficients.grad, expected)


@pytest.mark.parametrize("trainable", [True, "shared"])
@pytest.mark.parametrize(("parametrization", "low", "high"), [(Positive(), 0, 100), (Bounded(0.5, 1.0), 0.5, 1.0)])
def test_a_parametrized_density_starts_there_and_stays_inside(parametrization, low, high, trainable):
    model = wconv.convert(network(), {3: [0.7]}, trainable=trainable, parametrization=parametrization)
    assert model["stem"].density[0, 1].item() == pytest.approx(0.7)
    optimiser = torch.optim.SGD(wconv.density_parameters(model), lr=100)
    for _ in range(5):
        optimiser.zero_grad()
        run(model).square().sum().backward()
        optimiser.step()
    value = model["stem"].density[0, 1].item()
    assert value != pytest.approx(0.7)
    assert low <= value <= high


@pytest.mark.parametrize("trainable", [False, True, "shared"])
def test_preserving_the_function(trainable):
    model = network()
    expected, weight = run(model), model["stem"].weight
    wconv.convert(model, {3: [0.7], 5: [0.2, 0.8]}, preserve="function", trainable=trainable)
    torch.testing.assert_close(run(model), expected, rtol=0, atol=1e-6)
    assert len(weighted_names(model)) == 4
    assert not torch.equal(model["stem"].weight, weight)


def test_preserving_the_function_keeps_ties_and_frozen_weights():
    model = nn.Sequential(nn.Conv2d(2, 2, 3), nn.Conv2d(2, 2, 3), nn.Conv2d(2, 2, 3))
    model[1].weight = model[0].weight
    model[2].weight.requires_grad_(False)
    images = torch.randn(1, 2, 9, 9)
    expected = model(images)
    wconv.convert(model, {3: [0.7]}, preserve="function")
    torch.testing.assert_close(model(images), expected, rtol=0, atol=1e-6)
    assert model[1].weight is model[0].weight
    assert [layer.weight.requires_grad for layer in model] == [True, True, False]
    assert wconv.fold(model)[1].weight is model[0].weight
    torch.testing.assert_close(model(images), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("density", "arguments", "message"),
    [
        ({3: [0.7], 5: [0.0, 0.8]}, {"preserve": "function"}, "has a zero"),
        ({3: [0.7], 5: [0.8]}, {}, "5x5: expected a list of 2 numbers"),
        ({3: [0.7], 7: [0.8]}, {}, "7x7: expected a list of 3 numbers"),  # no layer has it, and still it is wrong
        ({3: [0.7], 5: torch.ones(3, 3)}, {}, "does not fit a kernel of"),
        ({3: [0.7], 5: 2 * torch.ones(5, 5)}, {}, "1 at the centre"),
        ({3: [0.7], 5: torch.ones(5, 5)}, {"trainable": True}, "cannot be trained"),
        ({3: [0.7], 5: [-0.1, 1.0]}, {"trainable": True, "parametrization": Positive()}, "above 0"),
        ({3: [0.7], 5: [0.2, 0.8]}, {"trainable": True, "parametrization": Bounded(0.5, 1.0)}, "inside its bounds"),
        ({3: [0.7], 4: [0.8, 0.8]}, {}, "no centre tap"),
        ({3: [0.7], "5x5": [0.8, 0.8]}, {}, "density key '5x5'"),
        ({3: [0.7], (3, 3, 3, 3): [0.7]}, {}, "density key"),
        ({3: [0.7]}, {"preserve": "outputs"}, "expected 'weights' or 'function'"),
    ],
)
def test_what_is_wrong_is_said_before_anything_changes(density, arguments, message):
    model = network()
    before = snapshot(model)
    with pytest.raises(ValueError, match=message):
        wconv.convert(model, density, **arguments)
    assert snapshot(model) == before


@pytest.mark.parametrize("norm", NORMS)
def test_parametrized_layers_are_refused_or_excluded(norm):
    model = network()
    norm(model["head"][0])
    before = snapshot(model)
    with pytest.raises(ValueError, match=r"layer 'head\.0' is parametrized \((weight|bias|weight, by a hook)\)"):
        wconv.convert(model, {3: [0.7]})
    assert snapshot(model) == before
    assert weighted_names(wconv.convert(model, {3: [0.7]}, exclude="head.*")) == ["stem", "body.0"]


@pytest.mark.parametrize("norm", NORMS)
def test_what_is_parametrized_afterwards_works_but_does_not_fold(norm):
    model = wconv.convert(network(), {3: [0.7]})
    expected = run(model)
    norm(model["head"][0])
    torch.testing.assert_close(run(model), expected)
    with pytest.raises(ValueError, match=r"layer 'head\.0' is parametrized .*remove the parametrization"):
        wconv.fold(model)
    assert weighted_names(model) == ["stem", "body.0", "head.0"]


def test_lazy_layers_are_refused_until_they_have_a_kernel():
    model = nn.Sequential(nn.Conv2d(3, 3, 3), nn.LazyConv2d(4, 3))
    with pytest.raises(ValueError, match=r"layer '1' is lazy .* pass a batch"):
        wconv.convert(model, {3: [0.7]})
    assert type(model[0]) is nn.Conv2d
    model(torch.randn(1, 3, 8, 8))
    assert weighted_names(wconv.convert(model, {3: [0.7]})) == ["0", "1"]


def test_subclasses_and_transposed_layers_are_reported_in_any_state():
    norm = NORMS[0]
    model = nn.Sequential(
        Special(3, 3, 3), nn.ConvTranspose2d(3, 3, 3), nn.LazyConvTranspose2d(3, 3),
        norm(nn.ConvTranspose2d(3, 3, 3)), norm(Special(3, 3, 3)), nn.Conv2d(3, 3, 3),
    )  # fmt: skip
    with pytest.warns(UserWarning, match="5 convolutions .* are left alone") as caught:
        assert weighted_names(wconv.convert(model, {3: [0.7]})) == ["5"]
    assert len(caught) == 1
    notes = [layer.note.split(" is a class of its own")[0] for layer in wconv.summary(model)]
    kinds = ["Special", "ConvTranspose2d", "LazyConvTranspose2d", "ParametrizedConvTranspose2d", "ParametrizedSpecial"]
    assert notes == [*kinds, ""]


def test_hooks_stay_and_fire_through_conversion_and_folding():
    layer, calls = nn.Conv2d(3, 3, 3), []
    layer.register_forward_pre_hook(lambda module, args: calls.append("before"))
    layer.register_forward_hook(lambda module, args, output: calls.append("after"))
    layer.register_full_backward_hook(lambda module, into, out: calls.append("backward"))
    for change in (lambda: None, lambda: wconv.convert(layer, {3: [0.7]}), lambda: wconv.fold(layer)):
        change()
        calls.clear()
        layer(torch.randn(1, 3, 5, 5, requires_grad=True)).sum().backward()
        assert calls == ["before", "after", "backward"]


def test_mode_and_requires_grad_stay():
    model = network()
    model["stem"].eval()
    model["body"][0].weight.requires_grad_(False)
    for change in (lambda: wconv.convert(model, {3: [0.7]}), lambda: wconv.fold(model)):
        change()
        assert [model["stem"].training, model["body"][0].training] == [False, True]
        assert [model["stem"].weight.requires_grad, model["body"][0].weight.requires_grad] == [True, False]


def test_weighted_layers_keep_the_density_they_have():
    model = wconv.convert(network(), {3: [0.7]}, include="stem")
    wconv.convert(model, {3: [0.5]}, trainable=True)
    assert [layer.density for layer in wconv.summary(model) if layer.kernel_size == (3, 3)] == [
        ((0.7,), (0.7,)), ((0.5,), (0.5,)), ((0.5,), (0.5,))
    ]  # fmt: skip
    assert [layer.trainable for layer in wconv.summary(model)] == [False, True, False, True]


@pytest.mark.parametrize(
    ("layer", "density", "expected"),
    [
        (nn.Conv1d(1, 1, 5), {5: [0.2, 0.8]}, ((0.2, 0.8),)),
        (nn.Conv3d(1, 1, 3), {3: [0.8]}, ((0.8,), (0.8,), (0.8,))),
        (nn.Conv3d(1, 1, (1, 3, 5)), {(1, 3, 5): ([], [0.7], [0.2, 0.8])}, ((), (0.7,), (0.2, 0.8))),
        (nn.Conv2d(1, 1, (3, 5)), {3: [0.5], (3, 5): ([0.7], [0.2, 0.8])}, ((0.7,), (0.2, 0.8))),
        (nn.Conv2d(1, 1, 3), {3: [0.5], (3, 3): [0.7]}, ((0.7,), (0.7,))),  # the shape is the closer key
        (nn.Conv2d(1, 1, 3), {3: ([0.7], [0.6])}, ((0.7,), (0.6,))),
    ],
)
@pytest.mark.filterwarnings("ignore:density for kernel size 3:")
def test_dimensions_and_keys(layer, density, expected):
    kind = {nn.Conv1d: WeightedConv1d, nn.Conv2d: WeightedConv2d, nn.Conv3d: WeightedConv3d}[type(layer)]
    assert type(wconv.convert(layer, density)) is kind
    assert wconv.summary(layer)[0].density == layer.coefficients == expected


def test_an_optimiser_made_before_still_trains():
    model = network()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    wconv.convert(model, {3: [0.7]})
    before = [parameter.clone() for parameter in model.parameters()]
    run(model).square().sum().backward()
    optimiser.step()
    assert not any(torch.equal(*pair) for pair in zip(before, model.parameters(), strict=True))


def test_the_summary_names_every_layer_and_the_unused_keys():
    model = network()
    with pytest.warns(UserWarning, match="kernel size 7") as caught:
        wconv.convert(model, {3: [0.7], 7: [0.25, 0.15, 0.55]}, trainable=True, exclude="head.*")
    assert [warning.filename for warning in caught] == [__file__]
    summary = wconv.summary(model)
    assert [layer.name for layer in summary] == ["stem", "body.0", "body.2", "head.0"]
    assert summary.unused == [7]
    assert str(summary).splitlines() == [
        "layer   kernel  density  trained  note",
        "stem    3x3     0.7      yes",
        "body.0  3x3     0.7      yes",
        "body.2  5x5     -        -        no density for this kernel size",
        "head.0  3x3     -        -        left out by include or exclude",
        "density for kernel size 7: the model has no such convolution",
    ]


@pytest.mark.parametrize(("trainable", "count"), [(True, 3), ("shared", 1)])
def test_parameter_groups_have_two_learning_rates(trainable, count):
    model = wconv.convert(network(), {3: [0.7]}, trainable=trainable)
    groups = wconv.param_groups(model, 1e-4, 1e-2, weight_decay=0.1, density_weight_decay=0.2)
    assert [(group["lr"], group["weight_decay"]) for group in groups] == [(1e-4, 0.1), (1e-2, 0.2)]
    assert [len(group["params"]) for group in groups] == [8, count]
    assert [id(density) for density in groups[1]["params"]] == [id(d) for d in wconv.density_parameters(model)]
    together = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(together) == sorted(id(parameter) for parameter in model.parameters())
    torch.optim.AdamW(groups)  # refuses a parameter in two groups


def test_without_a_trained_density_there_is_one_group():
    groups = wconv.param_groups(wconv.convert(network(), {3: [0.7]}), 1e-4, 1e-2)
    assert [len(group["params"]) for group in groups] == [8]
