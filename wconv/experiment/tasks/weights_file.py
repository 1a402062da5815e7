"""Files of weights, wherever they come from: tensors and plain values, of no more memory than the file has."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile, is_zipfile

import torch
from torch import Tensor

from wconv.checkpoints import located

DENSITY = "density_coefficients"  # what a trained density is called in a state_dict


def read_weights(path: Path) -> Any:
    """Read a file that PyTorch or safetensors wrote.

    Raises:
        Exception: whatever the libraries make of a file that is something else.
    """
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file  # of the extra ecosystem

        return load_file(path)
    if is_zipfile(path):
        with ZipFile(path) as archive:
            # PyTorch compresses nothing; what is compressed may be a thousand times as large as its file.
            if any(entry.compress_type != ZIP_STORED for entry in archive.infolist()):
                raise ValueError("it is compressed, as PyTorch writes none")
    content = torch.load(path, map_location="cpu", weights_only=True)
    for name, tensor in _tensors(content):
        _check_filled(name, tensor)
    return content


def find_state_dict(content: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return where the weights stand in a file, such as "state_dict" or "" for the file itself, and the weights."""
    return located(content)


def check_plain(content: Mapping[Any, Any]) -> None:
    """Refuse weights that mean something only together with a density.

    Raises:
        ValueError: they are; in words that go on from the name of the file.
    """
    if "metrics" in content and "pytorch-lightning_version" in content:
        raise ValueError(
            "it is a checkpoint of train.py, and only the config.yaml of its run says which densities multiply its "
            "weights; name the folder of the run, or what scripts/export.py makes of it"
        )
    entries = find_state_dict(content)[1]
    if trained := next((name for name in entries if str(name).rpartition(".")[2] == DENSITY), None):
        raise ValueError(f"it has a trained density ({trained}); name the folder of the run, or wconv.fold the network")


def _tensors(content: Any) -> Iterator[tuple[str, Tensor]]:
    """Yield every tensor with its name, at any depth; a pickle may hold what contains itself."""
    seen: set[int] = set()
    left: list[tuple[str, Any]] = [("", content)]
    while left:
        name, part = left.pop()
        if isinstance(part, Tensor):
            yield name, part
        elif isinstance(part, Mapping | list | tuple) and id(part) not in seen:
            seen.add(id(part))
            entries = part.items() if isinstance(part, Mapping) else enumerate(part)
            left += [(f"{name}.{key}" if name else str(key), entry) for key, entry in entries]


def _check_filled(name: str, tensor: Tensor) -> None:
    """Refuse a tensor that repeats a few values along large dimensions, or has none.

    Raises:
        ValueError: it does; in words that name it.
    """
    if tensor.layout != torch.strided or tensor.device.type != "cpu":
        raise ValueError(f"{name} is no tensor of plain numbers, but of {tensor.layout} on {tensor.device}")
    if tensor.untyped_storage().nbytes() < tensor.numel() * tensor.element_size():
        raise ValueError(f"{name} is of shape {tuple(tensor.shape)}, but the file has fewer values")
