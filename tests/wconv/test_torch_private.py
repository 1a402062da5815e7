"""What is assumed of PyTorch where PyTorch promises nothing: if one of these fails, an update has changed it."""

import inspect

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._subclasses import FakeTensorMode

from wconv.torch_private import ConvNd, LazyModuleMixin, is_transient, memory_tracker

PLAIN = [nn.Conv1d, nn.Conv2d, nn.Conv3d]


@pytest.mark.parametrize("kind", PLAIN)
def test_one_class_is_below_all_convolutions(kind):
    assert issubclass(kind, ConvNd)
    assert issubclass(nn.ConvTranspose2d, ConvNd)
    assert issubclass(nn.LazyConv2d, LazyModuleMixin)


@pytest.mark.parametrize("kind", PLAIN)
def test_forward_hands_input_weight_and_bias_to_conv_forward(kind, monkeypatch):
    layer, seen = kind(2, 2, 3), []
    monkeypatch.setattr(layer, "_conv_forward", lambda *args: seen.append(args))
    layer("input")
    assert seen == [("input", layer.weight, layer.bias)]
    assert list(inspect.signature(kind._conv_forward).parameters) == ["self", "input", "weight", "bias"]


@pytest.mark.parametrize("padding_mode", ["zeros", "circular"])
def test_conv_forward_convolves_with_the_weight_it_is_given(padding_mode):
    layer = nn.Conv2d(2, 2, 3, padding=1, padding_mode=padding_mode)
    images, weight = torch.randn(1, 2, 5, 5), torch.randn(2, 2, 3, 3)
    mode = "constant" if padding_mode == "zeros" else padding_mode
    expected = F.conv2d(F.pad(images, (1, 1, 1, 1), mode=mode), weight, layer.bias)
    torch.testing.assert_close(layer._conv_forward(images, weight, layer.bias), expected)


def test_apply_and_load_go_through_the_methods_of_the_layer():
    calls = []

    class Probe(nn.Conv2d):
        def _apply(self, fn, recurse=True):
            calls.append("apply")
            return super()._apply(fn, recurse)

        def _load_from_state_dict(self, *args):
            calls.append("load")
            return super()._load_from_state_dict(*args)

    model = nn.Sequential(Probe(1, 1, 3))
    model.double()
    model.load_state_dict(model.state_dict())
    assert calls == ["apply", "load"]


def test_transient_tensors_are_told_from_others():
    seen = []
    torch.func.grad(lambda x: seen.append(x.detach()) or x.sum())(torch.ones(2))
    torch.func.vmap(lambda x: seen.append(x) or x)(torch.ones(2, 2))
    with FakeTensorMode():
        seen.append(torch.ones(2))
    assert [is_transient(tensor) for tensor in seen] == [True, True, True]
    with torch.device("meta"):
        others = [torch.ones(2)]
    with torch.inference_mode():
        others.append(torch.ones(2))
    assert [is_transient(tensor) for tensor in others] == [False, False]


def test_the_memory_tracker_counts_the_bytes_of_tensors_at_their_peak():
    tracker = memory_tracker()
    with tracker:
        kept = torch.zeros(1000, dtype=torch.float32)
        kept + torch.ones(1000)
    peak = tracker.get_tracker_snapshot("peak")[kept.device]["Total"]
    assert 8000 <= peak <= 16000  # of tensors alone, each rounded up to what an allocator gives
