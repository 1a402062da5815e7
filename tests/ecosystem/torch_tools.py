"""What PyTorch itself does with a network."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from tests.ecosystem.common import Tool, images, through_file


def _state_dict(model: nn.Module) -> Tensor:
    other = copy.deepcopy(model)
    for parameter in other.parameters():
        nn.init.zeros_(parameter)
    other.load_state_dict(through_file(torch.save, torch.load, model.state_dict()))
    return other(images())


def _whole(model: nn.Module) -> Tensor:
    return through_file(torch.save, lambda file: torch.load(file, weights_only=False), model)(images())


def _inductor(model: nn.Module) -> Tensor:
    return torch.compile(model, fullgraph=True)(images())


def _export(model: nn.Module) -> Tensor:
    return torch.export.export(model, (images(),)).module()(images())


def _script(model: nn.Module) -> Tensor:
    return torch.jit.script(model)(images())


def _trace(model: nn.Module) -> Tensor:
    return torch.jit.trace(model, images())(images())


def _fx(model: nn.Module) -> Tensor:
    return torch.fx.symbolic_trace(model)(images())


def _prune(model: nn.Module) -> Tensor:
    from torch.nn.utils import prune

    prune.custom_from_mask(model.last, "weight", torch.arange(576).view(8, 8, 3, 3) % 3 > 0)
    return model(images())


def _weight_norm(model: nn.Module) -> Tensor:
    torch.nn.utils.parametrizations.weight_norm(model.last)
    return model(images())


def _fuse_conv_bn(model: nn.Module) -> Tensor:
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    model.conv, model.norm = fuse_conv_bn_eval(model.conv, model.norm), nn.Identity()
    return model(images())


def _fx_fuse(model: nn.Module) -> Tensor:
    from torch.fx.experimental.optimization import fuse

    return fuse(model)(images())


def _own_fusion(model: nn.Module) -> Tensor:
    """Merge convolution and batch norm as many repositories do: a new layer from `conv.weight`."""
    conv, norm = model.conv, model.norm
    fused = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, padding=conv.padding)
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    fused.weight = nn.Parameter(conv.weight * scale[:, None, None, None])
    fused.bias = nn.Parameter((conv.bias - norm.running_mean) * scale + norm.bias)
    model.conv, model.norm = fused, nn.Identity()
    return model(images())


def _fuse_modules(model: nn.Module) -> Tensor:
    return torch.ao.quantization.fuse_modules(model, [["conv", "norm", "relu"]])(images())


def _quantize_fx(model: nn.Module) -> Tensor:
    from torch.ao.quantization import get_default_qconfig_mapping
    from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

    prepared = prepare_fx(model, get_default_qconfig_mapping("x86"), (images(),))
    prepared(images())
    return convert_fx(prepared)(images())


def _quantize_dynamic(model: nn.Module) -> Tensor:
    return torch.ao.quantization.quantize_dynamic(model, {nn.Linear})(images())


def _flops(model: nn.Module) -> Tensor:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        model(images())
    return torch.tensor(float(counter.get_total_flops()))


def _average(model: nn.Module) -> Tensor:
    average = torch.optim.swa_utils.AveragedModel(model, use_buffers=True)
    average.update_parameters(model)
    return average(images())


def _gradients_of_samples(model: nn.Module) -> Any:
    parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}

    def loss(parameters: dict[str, Tensor], image: Tensor) -> Tensor:
        return torch.func.functional_call(model, parameters, (image[None],)).square().sum()

    return torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, images())["linear.weight"]


TORCH_TOOLS = [
    Tool("torch", "`state_dict`, `torch.save`, `torch.load`", _state_dict),
    Tool("torch", "`torch.save` of a whole model, pickle, deepcopy", _whole),
    Tool("torch", "`torch.compile` (inductor)", _inductor),
    Tool("torch", "`torch.export`", _export),
    Tool("torch", "`torch.jit.script`, fixed density", _script),
    Tool("torch", "`torch.jit.script`, trained density", _script, trained=True),
    Tool("torch", "`torch.jit.trace`", _trace),
    Tool("torch", "`torch.fx.symbolic_trace`", _fx),
    Tool("torch", "`torch.func`: `functional_call`, `grad`, `vmap`", _gradients_of_samples),
    Tool("torch", "`torch.nn.utils.prune`, after `convert`", _prune),
    Tool("torch", "`parametrizations.weight_norm`, after `convert`", _weight_norm),
    Tool("torch", "`swa_utils.AveragedModel`", _average),
    Tool("torch", "`FlopCounterMode`", _flops),
    Tool("torch", "`fuse_conv_bn_eval`", _fuse_conv_bn),
    Tool("torch", "`fx.experimental.optimization.fuse`", _fx_fuse),
    Tool("torch", "`ao.quantization.fuse_modules`", _fuse_modules),
    Tool("torch", "`ao.quantization.quantize_dynamic`", _quantize_dynamic),
    Tool("torch", "`ao.quantization.quantize_fx`", _quantize_fx, tolerance=0.05),
    Tool("torch", "a fusion written by hand, from `conv.weight`", _own_fusion),
]
