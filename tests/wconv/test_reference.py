"""Checkpoints of the authors' layers, made here by our own few lines of what is known of them."""

import pytest
import torch
from torch import nn

import wconv
from wconv import Positive, WeightedConv1d, WeightedConv2d, WeightedConv3d
from wconv.reference import load_reference_state_dict

pytestmark = pytest.mark.filterwarnings("ignore:loaded as fixed densities")
CONVOLVE = {1: nn.functional.conv1d, 2: nn.functional.conv2d, 3: nn.functional.conv3d}
PLAIN = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
WEIGHTED = {1: WeightedConv1d, 2: WeightedConv2d, 3: WeightedConv3d}


class Reference(nn.Module):
    """A layer of theirs: the density is an entry of its own in the state_dict."""

    def __init__(self, channels, half, dimensions=2, key="Phi", bias=False, leading=0, centre=1.0):
        super().__init__()
        self.dimensions, size = dimensions, 2 * len(half) + 1
        self.weight = nn.Parameter(torch.randn(channels[1], channels[0], *(size,) * dimensions))
        self.bias = nn.Parameter(torch.randn(channels[1])) if bias else None
        alfa = torch.tensor([*half, 1.0, *reversed(half)])
        self.product = alfa
        for _ in range(dimensions - 1):
            self.product = self.product.unsqueeze(-1) * alfa
        entry = {"Phi": self.product[(None,) * leading], "alfa": centre * alfa, "den": torch.tensor(half)}[key]
        self.register_buffer(key, entry)

    def forward(self, images):
        return CONVOLVE[self.dimensions](images, self.weight * self.product, self.bias, padding="same")


def plain() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 5, padding=2), nn.Conv2d(2, 2, 1)
    )


def reference(key: str = "Phi", **kwargs) -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(
        Reference((3, 4), [0.7], key=key, **kwargs), nn.BatchNorm2d(4),
        Reference((4, 2), [0.2, 0.8], key=key, bias=True, **kwargs), nn.Conv2d(2, 2, 1),
    )  # fmt: skip


def images() -> torch.Tensor:
    return torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("key", ["Phi", "alfa", "den"])
@pytest.mark.parametrize("convert", [False, True])
def test_the_outputs_are_those_of_the_reference(key, convert):
    theirs, model = reference(key), plain()
    parameters = list(model.parameters())
    if convert:
        wconv.convert(model, {3: [0.1], 5: [0.1, 0.1]})
    load_reference_state_dict(model, theirs.state_dict())
    assert torch.equal(model(images()), theirs(images()))
    assert [type(layer) for layer in model] == [WeightedConv2d, nn.BatchNorm2d, WeightedConv2d, nn.Conv2d]
    assert model[2].coefficients == (pytest.approx((0.2, 0.8)),) * 2
    assert all(left is right for left, right in zip(parameters, model.parameters(), strict=True))


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("key", ["Phi", "alfa", "den"])
def test_a_model_that_is_one_layer_of_any_dimension(dimensions, key):
    theirs = Reference((2, 2), [0.1, 0.7], dimensions, key)
    model = PLAIN[dimensions](2, 2, 5, padding=2, bias=False)
    load_reference_state_dict(model, theirs.state_dict())
    assert type(model) is WEIGHTED[dimensions]
    assert model.coefficients == (pytest.approx((0.1, 0.7)),) * dimensions
    batch = torch.randn(1, 2, *(6,) * dimensions)
    torch.testing.assert_close(model(batch), theirs(batch))


@pytest.mark.parametrize("leading", [1, 2])
def test_phi_may_have_leading_axes_of_one(leading):
    theirs, model = reference(leading=leading), plain()
    load_reference_state_dict(model, theirs.state_dict())
    assert torch.equal(model(images()), theirs(images()))


def test_alfa_is_divided_by_its_centre():
    layer = nn.Conv2d(1, 1, 5, bias=False)
    state = {"weight": layer.weight.detach(), "alfa": torch.tensor([1.0, 4.0, 2.0, 4.0, 1.0])}
    load_reference_state_dict(layer, state)
    assert layer.coefficients == ((0.5, 2.0), (0.5, 2.0))


@pytest.mark.parametrize(
    "phi",
    [
        torch.tensor([[0.3, 0.7, 0.3], [0.7, 1.0, 0.7], [0.3, 0.7, 0.3]]),  # radial
        torch.outer(torch.tensor([0.7, 1.0, 0.7]), torch.tensor([0.6, 1.0, 0.6])),  # of two vectors
    ],
)
def test_a_phi_that_is_no_power_of_one_vector_stays_as_it_is(phi):
    layer = nn.Conv2d(1, 1, 3, bias=False)
    load_reference_state_dict(layer, {"weight": torch.ones(1, 1, 3, 3), "Phi": phi})
    assert torch.equal(layer.density, phi)
    assert layer.coefficients is None


@pytest.mark.parametrize(("key", "entry"), [("Phi", torch.ones(1, 1)), ("alfa", torch.ones(1)), ("den", torch.ones(0))])
def test_a_single_tap_has_no_coefficients(key, entry):
    layer = nn.Conv2d(1, 1, 1, bias=False)
    load_reference_state_dict(layer, {"weight": torch.ones(1, 1, 1, 1), key: entry})
    assert layer.coefficients == ((), ())


def test_several_spellings_of_one_density_have_to_agree():
    weight, layer = torch.ones(1, 1, 3, 3), nn.Conv2d(1, 1, 3, bias=False)
    alfa = torch.tensor([0.7, 1.0, 0.7])
    load_reference_state_dict(layer, {"weight": weight, "alfa": alfa, "Phi": torch.outer(alfa, alfa)})
    assert layer.coefficients == ((alfa[0].item(),),) * 2
    with pytest.raises(ValueError, match="den and Phi stand for different densities"):
        load_reference_state_dict(layer, {"weight": weight, "den": torch.tensor([0.5]), "Phi": torch.outer(alfa, alfa)})


@pytest.mark.parametrize("trainable", [True, "shared"])
def test_a_trained_density_stays_trained_and_the_same_parameter(trainable):
    model = wconv.convert(plain(), {3: [0.1], 5: [0.1, 0.1]}, trainable=trainable, parametrization=Positive())
    before, theirs = wconv.density_parameters(model), reference()
    load_reference_state_dict(model, theirs.state_dict())
    assert all(left is right for left, right in zip(before, wconv.density_parameters(model), strict=True))
    assert len(before) == 2
    torch.testing.assert_close(model(images()), theirs(images()))


def test_a_density_an_axis_takes_the_same_values_for_each():
    model = wconv.convert(plain(), {3: ([0.1], [0.2])}, trainable=True)
    load_reference_state_dict(model, reference().state_dict())
    assert model[0].coefficients == (pytest.approx((0.7,)),) * 2


def test_one_shared_density_cannot_take_two_values():
    model = nn.Sequential(nn.Conv2d(1, 1, 3, bias=False), nn.Conv2d(1, 1, 3, bias=False))
    wconv.convert(model, {3: [0.5]}, trainable="shared")
    state = {f"{i}.{key}": entry for i, half in enumerate(([0.7], [0.8]))
             for key, entry in Reference((1, 1), half).state_dict().items()}  # fmt: skip
    with pytest.raises(ValueError, match="are one parameter, and the checkpoint has two values"):
        load_reference_state_dict(model, state)
    assert wconv.density_parameters(model)[0].item() == 0.5


def test_a_layer_without_a_density_in_the_checkpoint_keeps_its_own():
    model = wconv.convert(plain(), {3: [0.7]})
    trained = wconv.convert(plain(), {3: [0.7]}, trainable=True)
    for each in (model, trained):
        load_reference_state_dict(each, plain().state_dict())
        assert each[0].coefficients == (pytest.approx((0.7,)),) * 2
        assert type(each[2]) is nn.Conv2d


def test_a_module_under_two_names():
    conv = nn.Conv2d(2, 2, 3, bias=False)
    theirs = Reference((2, 2), [0.7])
    model, reference_model = nn.Sequential(conv, conv), nn.Sequential(theirs, theirs)
    load_reference_state_dict(model, reference_model.state_dict())
    assert type(conv) is WeightedConv2d
    assert torch.equal(conv.weight, theirs.weight)


def without(state, *keys):
    return {key: entry for key, entry in state.items() if key not in keys}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: without(s, "0.weight", "1.bias"), r"missing: 0\.weight, 1\.bias\)"),
        (lambda s: {**s, "0.beta": s["0.weight"], "9.alfa": s["0.Phi"]}, r"\(unknown: 0\.beta, 9\.alfa\)"),
        (lambda s: {**without(s, "0.weight"), "x": s["0.weight"]}, r"\(unknown: x; missing: 0\.weight\)"),
        (lambda s: {**s, "3.Phi": torch.ones(1, 1), "0.bias": torch.ones(4)}, r"unknown: 0\.bias\)"),
        (lambda s: {**s, "3.weight": torch.ones(2, 2, 3, 3)}, r"\(of another shape: 3\.weight\)"),
        (lambda s: {**s, "2.Phi": 2 * s["2.Phi"]}, "layer '2': Phi is 2 at its centre, where a density is 1"),
        (lambda s: {**s, "2.Phi": s["0.Phi"]}, r"layer '2': Phi of shape \(3, 3\) does not fit a kernel of \(5, 5\)"),
        (lambda s: {**s, "2.Phi": s["2.Phi"].expand(2, 5, 5)}, r"layer '2': Phi of shape \(2, 5, 5\) does not fit"),
        (lambda s: {**s, "2.Phi": s["2.Phi"].tril() + torch.eye(5)}, "layer '2': Phi is 2 at its centre"),
        (lambda s: {**s, "2.Phi": s["2.Phi"].tril()}, "layer '2': .*symmetric about its centre"),
        (lambda s: {**s, "2.Phi": s["2.Phi"] / torch.tensor([0.0, 1, 1, 1, 0])}, "layer '2': .*not finite"),
        (lambda s: {**without(s, "2.Phi"), "2.alfa": torch.tensor([0.2, 0.8, 1, 0.8, 0.3])}, "is not symmetric"),
        (lambda s: {**without(s, "2.Phi"), "2.alfa": torch.tensor([0.2, 0.8, 0, 0.8, 0.2])}, "is 0 at its centre"),
        (lambda s: {**without(s, "2.Phi"), "2.alfa": torch.ones(3)}, "alfa holds 3 numbers; .* 5 taps per axis has 5"),
        (lambda s: {**without(s, "2.Phi"), "2.den": torch.ones(3)}, "den holds 3 numbers; .* 5 taps per axis has 2"),
        (lambda s: {**without(s, "2.Phi"), "2.den": torch.tensor([0.2, float("nan")])}, "layer '2': .*finite"),
    ],
)
@pytest.mark.parametrize("trainable", [None, False, True])
def test_what_cannot_be_loaded_changes_nothing(change, message, trainable):
    model = plain()
    if trainable is not None:
        wconv.convert(model, {3: [0.5]}, trainable=trainable)
    before = {key: entry.clone() for key, entry in model.state_dict().items()}
    kinds, shown = [type(layer) for layer in model], str(wconv.summary(model))
    with pytest.raises(ValueError, match=message):
        load_reference_state_dict(model, change(reference().state_dict()))
    assert [type(layer) for layer in model] == kinds
    assert str(wconv.summary(model)) == shown
    assert all(torch.equal(entry, before[key]) for key, entry in model.state_dict().items())


def test_a_vector_for_all_axes_does_not_fit_an_uneven_kernel():
    layer = nn.Conv2d(1, 1, (3, 5), bias=False)
    for key, size in (("alfa", 3), ("den", 1)):
        with pytest.raises(ValueError, match=f"{key} is one vector for all axes"):
            load_reference_state_dict(layer, {"weight": layer.weight.detach(), key: torch.ones(size)})
    phi = torch.outer(torch.tensor([0.7, 1.0, 0.7]), torch.tensor([0.2, 0.8, 1.0, 0.8, 0.2]))
    load_reference_state_dict(layer, {"weight": layer.weight.detach(), "Phi": phi})
    assert torch.equal(layer.density, phi)


def test_a_radial_phi_cannot_be_trained():
    layer = wconv.convert(nn.Conv2d(1, 1, 3, bias=False), {3: [0.7]}, trainable=True)
    radial = torch.tensor([[0.3, 0.7, 0.3], [0.7, 1.0, 0.7], [0.3, 0.7, 0.3]])
    with pytest.raises(ValueError, match="cannot be the start of a trained density"):
        load_reference_state_dict(layer, {"weight": layer.weight.detach(), "Phi": radial})


def with_prefix(prefix, state):
    return {prefix + key: entry for key, entry in state.items()}


NESTINGS = {
    "as it is": lambda s: s,
    "DataParallel": lambda s: with_prefix("module.", s),
    "compiled": lambda s: with_prefix("_orig_mod.", s),
    "compiled and parallel": lambda s: with_prefix("module._orig_mod.", s),
    "a part compiled": lambda s: {key.replace("0.", "0._orig_mod.", 1): entry for key, entry in s.items()},
    "Lightning": lambda s: {"epoch": 3, "state_dict": with_prefix("model.", s), "optimizer_states": [{}]},
    "a longer prefix": lambda s: {"model": with_prefix("backbone.net.", s)},
    "BasicSR": lambda s: {"params": {key: 0 * entry for key, entry in s.items()}, "params_ema": s},
    "twice": lambda s: {"model": {"state_dict": with_prefix("module.", s)}, "args": None},
    "a common name": lambda s: {"model_state_dict": s, "loss": 0.1},
}


@pytest.mark.parametrize("nesting", NESTINGS)
@pytest.mark.parametrize("key", ["Phi", "den"])
def test_prefixes_and_nestings(nesting, key):
    theirs, model = reference(key), plain()
    load_reference_state_dict(model, NESTINGS[nesting](theirs.state_dict()))
    assert torch.equal(model.eval()(images()), theirs.eval()(images()))


@pytest.mark.parametrize("nesting", NESTINGS)
def test_a_model_that_is_wrapped_itself_and_one_that_is_a_layer(nesting):
    theirs, model = reference(), nn.DataParallel(plain())
    load_reference_state_dict(model, NESTINGS[nesting](theirs.state_dict()))
    assert torch.equal(model.module(images()), theirs(images()))
    theirs, layer = Reference((2, 2), [0.7]), nn.Conv2d(2, 2, 3, bias=False)
    load_reference_state_dict(layer, NESTINGS[nesting](theirs.state_dict()))
    assert torch.equal(layer.weight, theirs.weight)


def test_what_cannot_be_found_is_named_as_it_stands_in_the_checkpoint():
    state = with_prefix("module.", reference().state_dict())
    with pytest.raises(ValueError, match=r"unknown: module\.9\.weight"):
        load_reference_state_dict(plain(), {**state, "module.9.weight": torch.ones(1)})
    with pytest.raises(ValueError, match=r"missing: 0\.weight"):
        load_reference_state_dict(plain(), {"model": {}, "epoch": 1})


def test_what_became_of_a_trained_density_in_fixed_layers():
    with pytest.warns(UserWarning, match=r"loaded as fixed densities, .*: 0\.den, 2\.den\. To go on") as caught:
        load_reference_state_dict(plain(), reference("den").state_dict())
    assert [warning.filename for warning in caught] == [__file__]
    with pytest.warns(UserWarning, match="0.den"):
        load_reference_state_dict(wconv.convert(plain(), {3: [0.5], 5: [0.2, 0.2]}), reference("den").state_dict())


def test_our_own_trained_density_is_not_taken_for_a_fixed_one():
    trained = wconv.convert(plain(), {3: [0.5]}, trainable=True, parametrization=Positive())
    model = wconv.convert(plain(), {3: [0.5]})
    with pytest.raises(ValueError, match=r"layer '0': the checkpoint has a trained density .* trainable=True"):
        load_reference_state_dict(model, trained.state_dict())
    with pytest.warns(UserWarning, match=r"'0\.density_coefficients'.*ignored"):
        model.load_state_dict(trained.state_dict(), strict=False)
