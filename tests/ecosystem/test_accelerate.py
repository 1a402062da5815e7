"""accelerate: models without memory, and forward methods that hooks put on layers."""

import pytest
import torch
from torch import nn

import wconv
from tests.ecosystem.common import images
from wconv.modules import Weighted

accelerate = pytest.importorskip("accelerate")
pytestmark = pytest.mark.ecosystem


def network(**kwargs) -> nn.Module:
    torch.manual_seed(0)
    return wconv.convert(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)), {3: [0.7]}, **kwargs)


@pytest.mark.parametrize("include_buffers", [False, True])
@pytest.mark.parametrize("trainable", [False, True])
def test_a_model_without_memory_is_filled(include_buffers, trainable, tmp_path):
    model = network(trainable=trainable)
    torch.save(model.state_dict(), tmp_path / "model.bin")
    with accelerate.init_empty_weights(include_buffers=include_buffers):
        empty = network(trainable=trainable)
    loaded = accelerate.load_checkpoint_and_dispatch(empty, str(tmp_path / "model.bin"), {"": "cpu"})
    assert torch.equal(loaded(images()), model(images()))


def test_an_offloaded_model_computes_the_same_and_is_folded_without_its_hooks():
    model, expected = network(), network()(images())
    accelerate.cpu_offload(model, execution_device=torch.device("cpu"))
    assert torch.equal(model(images()), expected)
    with pytest.raises(ValueError, match="has a forward of its own"):
        wconv.fold(model)
    accelerate.hooks.remove_hook_from_module(model, recurse=True)
    assert torch.equal(wconv.fold(model)(images()), expected)


def test_a_layer_with_a_hook_is_not_converted_in_silence():
    model = nn.Sequential(nn.Conv2d(3, 8, 3))
    accelerate.hooks.add_hook_to_module(model[0], accelerate.hooks.ModelHook())
    with pytest.raises(ValueError, match="convert first, then add the hook"):
        wconv.convert(model, {3: [0.7]})
    assert not isinstance(model[0], Weighted)
