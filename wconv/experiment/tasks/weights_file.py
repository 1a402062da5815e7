"""Files of weights, wherever they come from: tensors and plain values, of no more memory than the file has."""

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

DENSITY = "density_coefficients"  # what a trained density is called in a state_dict
# Plain values that training scripts save beside the weights, and PyTorch does not read by itself: the arguments of the
# command line, and numbers of NumPy (of version 1, and of 2).
_SCALAR: Any = np.float64().__reduce__()[0]
PLAIN: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    argparse.Namespace,
    (_SCALAR, "numpy.core.multiarray.scalar"),
    (_SCALAR, "numpy._core.multiarray.scalar"),
    np.dtype,
    *{type(np.dtype(code)) for code in np.typecodes["AllInteger"] + np.typecodes["Float"] + "?"},
]


def find_weights(path: Path) -> tuple[str, Mapping[str, Any]]:
    """Read a file that somebody has made.

    Returns:
        Where the weights stand in it, such as "state_dict", or "" for the file itself; and the weights by their names.

    Raises:
        ValueError: it is no file of weights, or they mean something only together with a density; in words that go on
            from the name of the file.
    """
    try:
        content = _read_any(path)
    except ImportError as error:
        raise ValueError("safetensors is needed to read it; pip install safetensors") from error
    except (FileNotFoundError, PermissionError) as error:
        raise ValueError(f"it cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ValueError(f"it cannot be read as a file of weights ({one_line(error)[:200]})") from error
    except Exception as error:  # whatever the libraries make of a file that is something else
        raise ValueError(f"it cannot be read as a file of weights; {_advice(path)}") from error
    if not isinstance(content, Mapping):
        raise ValueError(f"it holds a {type(content).__name__}, and not the weights by their names")
    _check_plain(content)
    return located(content)


def _read_any(path: Path) -> Any:
    """Read what PyTorch or safetensors wrote, whatever the file is called; raises as they do."""
    if path.exists() and not path.is_file():
        raise ValueError("it is a folder" if path.is_dir() else "it is no file")
    with path.open("rb") as file:
        start = file.read(9)
    if start[8:] == b"{" and not start.startswith(b"PK"):  # behind the length of its header
        from safetensors.torch import load_file  # of the extra ecosystem

        return load_file(path)
    return read_weights(path)


def _advice(path: Path) -> str:
    """Say what to save in place of the objects of Python that a file holds, or of whatever it is."""
    with suppress(Exception):  # it may be anything
        if found := sorted(get_unsafe_globals_in_checkpoint(path)):
            own = [name for name in found if not name.startswith("torch.")] or found
            return f"it holds objects of Python ({', '.join(own)[:100]}), and none are made: save model.state_dict()"
    return "torch.save(model.state_dict(), FILE) and safetensors write such files"


def read_weights(path: Path) -> Any:
    """Read a file that PyTorch wrote.

    Raises:
        Exception: whatever PyTorch makes of a file that is something else.
    """
    if is_zipfile(path):
        with ZipFile(path) as archive:
            # PyTorch compresses nothing; what is compressed may be a thousand times as large as its file.
            if any(entry.compress_type != ZIP_STORED for entry in archive.infolist()):
                raise ValueError("it is compressed, as PyTorch writes none")
    with safe_globals(PLAIN), path.open("rb") as file:  # PyTorch goes by the end of a name, too
        content = torch.load(file, map_location="cpu", weights_only=True)
    for name, tensor in _tensors(content):
        _check_filled(name, tensor)
    return content


def _check_plain(content: Mapping[Any, Any]) -> None:
    """Refuse weights that mean something only together with a density.

    Raises:
        ValueError: they are; in words that go on from the name of the file.
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
