"""Export a trained network for other programs: fold it, write it, and verify the outputs of the file."""

import importlib.util
import json
import logging
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.fx.experimental._config as fx_config
from omegaconf import OmegaConf
from torch import Tensor, nn

from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.common.files import write_atomically
from wconv.experiment.common.text import one_line
from wconv.experiment.inference.load import Trained
from wconv.experiment.tasks.instantiate import instantiate_group
from wconv.experiment.tasks.network import plain_copy

# Packages that each format needs for writing and reading.
PACKAGES = {".onnx": ("onnx", "onnxscript", "onnxruntime"), ".safetensors": ("safetensors",), ".pt2": ()}
TOLERANCE = 1e-4  # relative to the largest output: other programs sum in another order
TRACED = (2, 96, 80)  # images, height, width for tracing; the file accepts any
TRIED = ((1, 32, 32), (3, 33, 97), (2, 64, 48))

Network = Callable[[Tensor], Tensor]


def check_format(file: Path) -> None:
    """Refuse a file of an unknown format, or one that needs a missing package.

    Raises:
        ConfigError: the message says what to do.
    """
    if file.suffix not in PACKAGES:
        raise ConfigError(f"-o {file}: name a file that ends in {', '.join(PACKAGES)}")
    if missing := [name for name in PACKAGES[file.suffix] if importlib.util.find_spec(name) is None]:
        raise ConfigError(f"-o {file}: {', '.join(missing)} is missing; pip install {' '.join(missing)}")


@torch.no_grad()
def export(trained: Trained, file: Path) -> float:
    """Write the network of a run with plain convolutions.

    Args:
        trained: the network.
        file: ends in .onnx, .safetensors or .pt2; written only if its outputs equal those of the network.

    Returns:
        The largest difference of an output, relative to the largest output.

    Raises:
        ConfigError: the network cannot be exported, or its outputs would differ.
        OSError: the file cannot be written.
    """
    check_format(file)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        part = Path(folder) / f"network{file.suffix}"
        try:
            exported = _WRITERS[file.suffix](trained, plain_copy(trained.model), part)
            difference = _largest_difference(trained, exported)
        except Exception as error:  # exporters may raise anything
            raise ConfigError(f"{file} cannot be written: {type(error).__name__}: {one_line(error)[:300]}") from error
        if not difference <= TOLERANCE:
            raise ConfigError(
                f"{file} was not written: its outputs would differ from those of the run by {difference:.1e} of the "
                "largest"
            )
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, part.read_bytes())
    return difference


def _largest_difference(trained: Trained, exported: Network) -> float:
    generator = torch.Generator().manual_seed(0)
    found = torch.zeros(())
    for count, height, width in TRIED:
        images = torch.rand(count, trained.channels, height, width, generator=generator)
        expected = trained.model(images)
        found = torch.maximum(found, (exported(images) - expected).abs().max() / expected.abs().max())
    return found.item()


def _write_program(trained: Trained, model: nn.Module, file: Path) -> Network:
    torch.export.save(_program(trained, model), file)
    program: Any = torch.export.load(file).module()
    return program  # type: ignore[no-any-return]


def _program(trained: Trained, model: nn.Module) -> torch.export.ExportedProgram:
    count, height, width = TRACED
    any_size = torch.export.Dim.DYNAMIC
    images = torch.rand(count, trained.channels, height, width)
    # Otherwise the program would be specialised to feature maps of one pixel, or of more, as in the traced images.
    # PyTorch has no public option for this; the check of the outputs fails if the private one disappears.
    with fx_config.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]
        return torch.export.export(model, (images,), dynamic_shapes=({0: any_size, 2: any_size, 3: any_size},))


def _write_onnx(trained: Trained, model: nn.Module, file: Path) -> Network:
    import onnxruntime  # type: ignore[import-untyped]

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    program = torch.onnx.export(
        _program(trained, model), input_names=["images"], output_names=["output"], verbose=False
    )
    assert program is not None
    program.save(file, external_data=False)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0])


def _write_safetensors(trained: Trained, model: nn.Module, file: Path) -> Network:
    from safetensors.torch import load_file, save_file

    group = OmegaConf.to_container(trained.config.model)
    assert isinstance(group, dict)
    told = {key: value for key, value in group.items() if not str(key).startswith("_") and key != "checkpoint"}
    arguments = told | dict(trained.arguments)
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(state, file, metadata={"format": "pt", "model": json.dumps(arguments)})
    again: nn.Module = instantiate_group(trained.config.model, **trained.arguments)
    again.load_state_dict(load_file(file))
    return again.eval()


_WRITERS: dict[str, Callable[[Trained, nn.Module, Path], Network]] = {
    ".onnx": _write_onnx,
    ".safetensors": _write_safetensors,
    ".pt2": _write_program,
}
