"""Every classification model of torchvision, converted."""

import warnings
from collections.abc import Iterator

import pytest
import torch
import torchvision.models
from torch import nn
from torch.overrides import TorchFunctionMode

import wconv
from wconv.modules import Weighted

NAMES = torchvision.models.list_models(module=torchvision.models)
DENSITY = {3: [0.7], 5: [0.2, 0.8], 7: [0.25, 0.15, 0.55]}
FLAT = {size: [0.7] * (size // 2) for size in DENSITY}
ONES = {size: [1.0] * (size // 2) for size in DENSITY}
# The smallest of each family by parameters: test_the_smallest_are_the_smallest.
SMALLEST = [
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "googlenet",
    "inception_v3",
    "maxvit_t",
    "mnasnet0_5",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "regnet_y_400mf",
    "resnet18",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "vgg11",
]
# Families without one of these kernels.
WITHOUT = ["swin_t", "vit_b_16"]
INPUT_SIZE = {"inception_v3": 75, "maxvit_t": 224}  # 64 is too small for them, or does not divide


class EmptyOnMeta(TorchFunctionMode):
    """Keep the memory of large parameters from being taken; models compute with small tensors when they are built."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return func(*args, **({**(kwargs or {}), "device": "meta"} if func is torch.empty else kwargs or {}))


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="density for kernel size")
        warnings.filterwarnings("ignore", message="The default weight initialization of")
        yield


def build(name: str) -> nn.Module:
    kwargs = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}  # minutes on the slow path
    return torchvision.models.get_model(name, **kwargs)


def described(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(entry.shape) for key, entry in model.state_dict().items()}


@pytest.fixture(scope="module")
def on_meta() -> dict[str, nn.Module]:
    with EmptyOnMeta():
        return {name: build(name).to("meta") for name in NAMES}


def test_the_smallest_are_the_smallest(on_meta):
    families: dict[str, list[tuple[int, str]]] = {}
    for name, model in on_meta.items():
        family = torchvision.models.get_model_builder(name).__module__
        families.setdefault(family, []).append((sum(parameter.numel() for parameter in model.parameters()), name))
    assert sorted(min(members)[1] for members in families.values()) == sorted(SMALLEST + WITHOUT)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_keys_stay(name, on_meta):
    model = on_meta[name]
    before, keys = list(model.parameters()), described(model)
    fitting = [m.kernel_size for m in model.modules() if isinstance(m, nn.Conv2d) and m.kernel_size[0] in DENSITY]
    expected = sum(len(set(size)) == 1 for size in fitting)
    wconv.convert(model, DENSITY)
    assert described(model) == keys
    assert all(old is new for old, new in zip(before, model.parameters(), strict=True))
    assert sum(isinstance(module, Weighted) for module in model.modules()) == expected
    assert (expected == 0) == name.startswith(("vit", "swin"))


@pytest.mark.parametrize("name", SMALLEST)
def test_outputs_are_unchanged_at_one_and_changed_below(name):
    torch.manual_seed(0)
    model = build(name).eval()
    size = INPUT_SIZE.get(name, 64)
    with torch.inference_mode():
        images = torch.randn(1, 3, size, size)
        before = model(images)
        assert torch.equal(wconv.convert(model, ONES)(images), before)
        assert torch.equal(wconv.fold(model)(images), before)
        after = wconv.convert(model, FLAT)(images)
    assert after.isfinite().all()
    assert not torch.equal(after, before)
