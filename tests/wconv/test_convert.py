import pytest
import torch
from torch import nn

import wconv
from wconv import WeightedConv2d
from wconv.report import Layer


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 5, padding=2, bias=False), nn.Conv2d(4, 2, 1)
    )


def test_layers_with_a_density_are_swapped_and_others_left():
    model = wconv.convert(network(), {3: [0.7]})
    assert [type(layer) for layer in model] == [WeightedConv2d, nn.ReLU, nn.Conv2d, nn.Conv2d]
    assert list(wconv.summary(model)) == [
        Layer("0", (3, 3), ((0.7,), (0.7,))),
        Layer("2", (5, 5), None, False, "no density for this kernel size"),
        Layer("3", (1, 1), None, False, "no density for this kernel size"),
    ]


def test_parameters_stay_the_same_objects_in_the_same_mode():
    model = network().eval()
    before, keys = list(model.parameters()), list(model.state_dict())
    wconv.convert(model, {3: [0.7], 5: [0.2, 0.8]})
    assert all(old is new for old, new in zip(before, model.parameters(), strict=True))
    assert list(model.state_dict()) == keys
    assert not model[0].training


def test_nothing_is_drawn_from_the_random_stream():
    model = network()
    state = torch.get_rng_state()
    wconv.fold(wconv.convert(model, {3: [0.7]}))
    assert torch.equal(torch.get_rng_state(), state)


def test_fold_keeps_the_outputs_and_ends_in_plain_layers():
    model = wconv.convert(network(), {3: [0.7], 5: [0.2, 0.8]})
    images = torch.randn(2, 3, 8, 8)
    weighted = model(images)
    folded = wconv.fold(model)
    assert torch.equal(folded(images), weighted)
    assert {type(layer) for layer in folded} == {nn.Conv2d, nn.ReLU}


def test_a_model_that_is_a_convolution_comes_back_weighted():
    conv = nn.Conv2d(3, 4, 3)
    layer = wconv.convert(conv, {3: [0.7]})
    assert isinstance(layer, WeightedConv2d)
    assert layer.weight is conv.weight
    assert type(wconv.fold(layer)) is nn.Conv2d


def test_a_shared_layer_stays_shared():
    conv = nn.Conv2d(3, 3, 3, padding=1)
    model = nn.ModuleDict({"a": nn.Sequential(conv, conv), "b": nn.Sequential(conv)})
    wconv.convert(model, {3: [0.7]})
    assert isinstance(model["a"][0], WeightedConv2d)
    assert model["a"][0] is model["a"][1] is model["b"][0]


def test_a_key_without_a_layer_warns():
    with pytest.warns(UserWarning, match="kernel size 7"):
        wconv.convert(network(), {3: [0.7], 7: [0.25, 0.15, 0.55]})


def test_a_wrong_density_changes_nothing():
    model = network()
    with pytest.raises(ValueError, match="5x5: expected a list of 2 numbers"):
        wconv.convert(model, {3: [0.7], 5: [0.2]})
    assert type(model[0]) is nn.Conv2d


def test_what_is_no_density_per_kernel_size_is_refused():
    for density in (0.7, [0.7]):
        with pytest.raises(ValueError, match=r"expected coefficients per kernel size, e\.g\. \{3: \[0\.7\]\}"):
            wconv.convert(network(), density)


def test_a_second_conversion_says_that_densities_stay():
    model = wconv.convert(network(), {3: [0.7]})
    with pytest.warns(UserWarning, match=r"weighted already and keep their density \(layer\.set_density changes it\)"):
        wconv.convert(model, {3: [0.9]})
    assert wconv.summary(model)[0].density == ((0.7,), (0.7,))


def test_the_summary_of_other_densities():
    assert str(wconv.summary(wconv.convert(nn.Conv2d(1, 1, (3, 1)), {(3, 1): ([0.7], [])}))).splitlines()[1] == (
        "(model)  3x1     0.7 x 1  -"
    )
    radial = wconv.convert(nn.Conv2d(1, 1, 3), {3: torch.tensor([[0.3, 0.7, 0.3], [0.7, 1, 0.7], [0.3, 0.7, 0.3]])})
    assert wconv.summary(radial)[0].note == "Phi given tap by tap"
    assert wconv.summary(nn.Conv2d(1, 1, 3))[0].note == "not converted"


def test_a_density_of_three_axes_that_no_layer_has_is_a_warning_too():
    with pytest.warns(UserWarning, match="kernel size 5"):
        wconv.convert(nn.Sequential(nn.Conv3d(1, 1, 3)), {3: [0.7], 5: ([0.1, 0.7], [0.1, 0.7], [0.1, 0.7])})
