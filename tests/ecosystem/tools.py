"""Other people's tools, each as a function of a network: what it makes of a weighted one is compared with what it makes
of the same network folded. `scripts/ecosystem.py` writes the table from it, and a test holds the table to it.
"""

import contextlib
import copy
import io
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import wconv
from tests.ecosystem.common import Network, Tool, images, network, through_file
from tests.ecosystem.torch_tools import TORCH_TOOLS

AS_IS, FOLD, REFUSED = "works as is", "fold first", "refused"


def _onnx(model: nn.Module) -> Tensor:
    import onnxruntime

    def load(file: Path) -> Any:
        return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])

    with contextlib.redirect_stdout(io.StringIO()):
        session = through_file(
            lambda model, file: torch.onnx.export(model, (images(),), file, dynamo=True, verbose=False), load, model
        )
    return torch.from_numpy(session.run(None, {session.get_inputs()[0].name: images().numpy()})[0])


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
    *TORCH_TOOLS,
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
