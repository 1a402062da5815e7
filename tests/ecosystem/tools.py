"""Other people's tools, each as a function of a network: what it makes of a weighted one is compared with what it makes
of the same network folded. `scripts/ecosystem.py` writes the table from it, and a test holds the table to it.
"""

import contextlib
import copy
import io
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import wconv

AS_IS, FOLD, REFUSED = "works as is", "fold first", "refused"


@dataclass(frozen=True)
class Tool:
    """What is done with a network.

    Attributes:
        package: that the tool comes from.
        name: for the table.
        use: returns what has to be the same for a weighted network and its folded copy.
        trained: whether the density of the network is trained.
        tolerance: of the comparison, relative to the largest number.
    """

    package: str
    name: str
    use: Callable[[nn.Module], Any]
    trained: bool = False
    tolerance: float = 1e-4


class Network(nn.Module):
    """Convolution, batch norm, convolution; and something linear, for tools that look for that."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.relu = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()
        self.last, self.linear = nn.Conv2d(8, 8, 3), nn.Linear(8, 4)

    def forward(self, images: Tensor) -> Tensor:
        """Return four numbers an image."""
        features: Tensor = self.last(self.relu(self.norm(self.conv(images))))
        output: Tensor = self.linear(features.mean((2, 3)))
        return output


def network(trained: bool = False) -> nn.Module:
    """Return a weighted network whose batch norm has seen something."""
    torch.manual_seed(0)
    model = wconv.convert(Network(), {3: [0.7]}, trainable=trained)
    model(3 * images() + 1)
    return model.eval()


def images() -> Tensor:
    """Return two images."""
    return torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def through_file(save: Callable[[Any, Any], Any], load: Callable[[Any], Any], thing: Any) -> Any:
    """Return what a file holds of a thing."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "file"
        save(thing, file)
        return load(file)


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


def _onnx(model: nn.Module) -> Tensor:
    import onnxruntime

    def load(file: Path) -> Any:
        return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])

    with contextlib.redirect_stdout(io.StringIO()):
        session = through_file(
            lambda model, file: torch.onnx.export(model, (images(),), file, dynamo=True, verbose=False), load, model
        )
    return torch.from_numpy(session.run(None, {session.get_inputs()[0].name: images().numpy()})[0])


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


def _torchvision_features(model: nn.Module) -> Tensor:
    from torchvision.models.feature_extraction import create_feature_extractor

    return create_feature_extractor(model, ["last"])(images())["last"]


def _timm_features(model: nn.Module) -> Tensor:
    from timm.models import create_feature_extractor

    return create_feature_extractor(model, ["last"])(images())["last"]


def _timm_model(name: str, model: nn.Module) -> Any:
    """Give a model of timm the state that the network stands for: weighted, or folded."""
    import timm

    torch.manual_seed(0)
    other = wconv.convert(timm.create_model(name, num_classes=3).eval(), {3: [0.7]})
    return wconv.fold(other) if wconv.is_folded(model) else other


def _reparameterize(name: str) -> Callable[[nn.Module], Tensor]:
    def use(model: nn.Module) -> Tensor:
        from timm.utils.model import reparameterize_model

        with torch.inference_mode():
            batch = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
            return 100 * reparameterize_model(_timm_model(name, model))(batch)

    return use


def _peft(merge: bool, **kwargs: Any) -> Callable[[nn.Module], Tensor]:
    def use(model: nn.Module) -> Tensor:
        from peft import LoraConfig, get_peft_model

        torch.manual_seed(1)
        adapted = get_peft_model(model, LoraConfig(target_modules=["last"], r=2, init_lora_weights=False, **kwargs))
        with torch.no_grad():
            for name, parameter in adapted.named_parameters():
                if "lora_A" in name or "lora_B" in name:  # as a training would
                    parameter.add_(torch.randn_like(parameter))
        return (adapted.merge_and_unload() if merge else adapted)(images())

    return use


def _torchao(model: nn.Module) -> Tensor:
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    quantize_(model, Int8WeightOnlyConfig())
    return model(images())


def _pt2e(model: nn.Module) -> Tensor:
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    quantizer = x86.X86InductorQuantizer().set_global(x86.get_default_x86_inductor_quantization_config())
    prepared = prepare_pt2e(torch.export.export(model, (images(),)).module(), quantizer)
    prepared(images())
    return convert_pt2e(prepared)(images())


def _safetensors(model: nn.Module) -> Tensor:
    from safetensors.torch import load_model, save_model

    other = copy.deepcopy(model)
    for parameter in other.parameters():
        nn.init.zeros_(parameter)
    through_file(save_model, lambda file: load_model(other, file), model)
    return other(images())


def _accelerate_empty(model: nn.Module) -> Tensor:
    import accelerate

    with accelerate.init_empty_weights(include_buffers=True):
        empty = Network()
        if not wconv.is_folded(model):
            wconv.convert(empty, {3: [0.7]})

    def load(file: Path) -> nn.Module:
        return accelerate.load_checkpoint_and_dispatch(empty.eval(), str(file), {"": "cpu"})

    return through_file(torch.save, load, model.state_dict())(images())


def _accelerate_offload(model: nn.Module) -> Tensor:
    import accelerate

    accelerate.cpu_offload(model, execution_device=torch.device("cpu"))
    return model(images())


def _transformers(model: nn.Module) -> Tensor:
    from transformers import PretrainedConfig, PreTrainedModel

    class Config(PretrainedConfig):
        model_type = "network"

    class Pretrained(PreTrainedModel):
        config_class = Config

        def __init__(self, config: Config) -> None:
            super().__init__(config)
            self.body = Network()
            if not wconv.is_folded(model):
                wconv.convert(self.body, {3: [0.7]})
            self.post_init()

    own = Pretrained(Config())
    own.body.load_state_dict(model.state_dict())
    loaded = through_file(lambda own, file: own.save_pretrained(file), Pretrained.from_pretrained, own)
    return loaded.body.eval()(images())


def _thop(model: nn.Module) -> Tensor:
    import thop

    return torch.tensor(thop.profile(model, (images(),), verbose=False))


def _ptflops(backend: str) -> Callable[[nn.Module], Tensor]:
    def use(model: nn.Module) -> Tensor:
        from ptflops import get_model_complexity_info

        macs, _ = get_model_complexity_info(
            model, (3, 8, 8), as_strings=False, print_per_layer_stat=False, backend=backend
        )
        return torch.tensor(float(macs))

    return use


TOOLS = [
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
    Tool("torchvision", "`create_feature_extractor`", _torchvision_features),
    Tool("onnx", "`torch.onnx.export`, run by onnxruntime", _onnx),
    Tool("safetensors", "`save_model`, `load_model`", _safetensors),
    Tool("transformers", "`save_pretrained`, `from_pretrained`", _transformers),
    Tool("accelerate", "`init_empty_weights`, `load_checkpoint_and_dispatch`", _accelerate_empty),
    Tool("accelerate", "`cpu_offload`", _accelerate_offload),
    Tool("timm", "`create_feature_extractor`", _timm_features),
    Tool("timm", "`reparameterize_model` (RepGhostNet)", _reparameterize("repghostnet_050")),
    Tool("timm", "`reparameterize_model` (RepVGG)", _reparameterize("repvgg_a0")),
    Tool("peft", "LoRA: training, running", _peft(merge=False)),
    Tool("peft", "LoRA: `merge_and_unload`", _peft(merge=True)),
    Tool("peft", "DoRA: training, running", _peft(merge=False, use_dora=True)),
    Tool("torchao", "`quantize_` (linear layers)", _torchao),
    Tool("torchao", "quantisation by `torch.export` (pt2e)", _pt2e, tolerance=0.05),
    Tool("thop", "`profile`", _thop),
    Tool("ptflops", "`get_model_complexity_info`, backend pytorch", _ptflops("pytorch")),
    Tool("ptflops", "`get_model_complexity_info`, backend aten", _ptflops("aten")),
]


def verdict(tool: Tool) -> tuple[str, str]:
    """Use a tool on a weighted network and on its folded copy.

    Returns:
        Whether both give the same, and what was said if the tool stopped: the outputs that come from a weighted network
        without a word are right, or the page says "fold first".

    Raises:
        Exception: the tool fails on the folded network, which is plain PyTorch.
    """
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        expected = tool.use(wconv.fold(network(tool.trained)).eval())
        try:
            found = tool.use(network(tool.trained))
        except Exception as error:
            return REFUSED, str(error).strip().splitlines()[0]
    same = found.shape == expected.shape and (found - expected).abs().max() <= tool.tolerance * expected.abs().max()
    return (AS_IS if same else FOLD), ""


def installed(package: str) -> str:
    """Return a package with its version."""
    return f"{package} {version(package).split('+')[0]}"
