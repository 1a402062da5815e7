"""Read weight files of any origin safely: only tensors and plain values, no larger in memory than the file."""

import argparse
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile, is_zipfile

import numpy as np
import torch
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from wconv.checkpoints import located
from wconv.experiment.common.text import one_line

DENSITY = "density_coefficients"  # name of a trained density in a state_dict
# Plain values that training scripts save with the weights, and that PyTorch refuses by default: command-line arguments
# and numbers of NumPy (versions 1 and 2).
_SCALAR: Any = np.float64().__reduce__()[0]
PLAIN: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    argparse.Namespace,
    (_SCALAR, "numpy.core.multiarray.scalar"),
    (_SCALAR, "numpy._core.multiarray.scalar"),
    np.dtype,
    *{type(np.dtype(code)) for code in np.typecodes["AllInteger"] + np.typecodes["Float"] + "?"},
]


def find_weights(path: Path) -> tuple[str, Mapping[str, Any]]:
    """Read a weight file of any origin.

    Returns:
        The path of the weights in the file, such as "state_dict", or "" for the file itself; and the weights by name.

    Raises:
        ValueError: it is not a weight file, or its weights may have to be multiplied by a density; the message
            continues a sentence that starts with the name of the file.
    """
    try:
        content = _read_any(path)
    except ImportError as error:
        raise ValueError("safetensors is needed to read it; pip install safetensors") from error
    except (FileNotFoundError, PermissionError) as error:
        raise ValueError(f"it cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ValueError(f"it cannot be read as a file of weights ({one_line(error)[:200]})") from error
    except Exception as error:  # any error that the libraries raise for other files
        raise ValueError(f"it cannot be read as a file of weights; {_advice(path)}") from error
    if not isinstance(content, Mapping):
        raise ValueError(f"it holds a {type(content).__name__}, and not the weights by their names")
    _check_plain(content)
    return located(content)


def _read_any(path: Path) -> Any:
    """Read a file of PyTorch or safetensors, whatever its name; raises as they do."""
    if path.exists() and not path.is_file():
        raise ValueError("it is a folder" if path.is_dir() else "it is no file")
    with path.open("rb") as file:
        start = file.read(9)
    if start[8:] == b"{" and not start.startswith(b"PK"):  # a safetensors header, after its length
        from safetensors.torch import load_file  # in the extra "ecosystem"

        return load_file(path)
    return read_weights(path)


def _advice(path: Path) -> str:
    """Say what to save instead of the Python objects that a file holds, or of any other content."""
    with suppress(Exception):  # the file may be anything
        if found := sorted(get_unsafe_globals_in_checkpoint(path)):
            own = [name for name in found if not name.startswith("torch.")] or found
            return f"it holds Python objects ({', '.join(own)[:100]}), which are not loaded: save model.state_dict()"
    return "torch.save(model.state_dict(), FILE) and safetensors write such files"


def read_weights(path: Path) -> Any:
    """Read a file written by PyTorch.

    Raises:
        Exception: any error that PyTorch raises for other files.
    """
    if is_zipfile(path):
        with ZipFile(path) as archive:
            # PyTorch never compresses; a compressed entry could expand to a thousand times the size of its file.
            if any(entry.compress_type != ZIP_STORED for entry in archive.infolist()):
                raise ValueError("it is compressed, and PyTorch writes no compressed files")
    with safe_globals(PLAIN), path.open("rb") as file:  # of a path, PyTorch would interpret the suffix
        content = torch.load(file, map_location="cpu", weights_only=True)
    for name, tensor in _tensors(content):
        _check_filled(name, tensor)
    return content


def _check_plain(content: Mapping[Any, Any]) -> None:
    """Refuse weights that may still have to be multiplied by a density.

    Raises:
        ValueError: they are; the message continues a sentence that starts with the name of the file.
    """
    if "metrics" in content and "pytorch-lightning_version" in content:
        raise ValueError(
            "it is a checkpoint of train.py, and only the config.yaml of its run says which densities multiply its "
            "weights; name the folder of the run, or what scripts/export.py makes of it"
        )
    entries = located(content)[1]
    if trained := next((name for name in entries if str(name).rpartition(".")[2] == DENSITY), None):
        raise ValueError(f"it has a trained density ({trained}); name the folder of the run, or wconv.fold the network")


def _tensors(content: Any) -> Iterator[tuple[str, Tensor]]:
    """Yield every tensor with its name, at any depth; containers in a pickle may contain themselves."""
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
    """Refuse a tensor whose storage has fewer values than its shape (expanded dimensions), or none.

    Raises:
        ValueError: it does; the message names the tensor.
    """
    if tensor.layout != torch.strided or tensor.device.type != "cpu":
        raise ValueError(f"{name} is no tensor of plain numbers, but of {tensor.layout} on {tensor.device}")
    if tensor.untyped_storage().nbytes() < tensor.numel() * tensor.element_size():
        raise ValueError(f"{name} is of shape {tuple(tensor.shape)}, but the file has fewer values")
