"""Find the entries of a model in the wrappings that checkpoints come in: nested dictionaries, prefixes, wrappers."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

# Where programs put the state_dict in what they save, what is better for inference first.
_NESTS = (
    *("params_ema", "state_dict_ema", "ema_state_dict", "model_ema", "ema"),
    *("params", "state_dict", "model_state_dict", "model", "net", "network", "module"),
)
_DEEPEST = 10  # nests in each other
_WRAPPERS = ("_orig_mod", "module")  # torch.compile, (Distributed)DataParallel


def unwrapped(checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the state_dict in a checkpoint.

    Args:
        checkpoint: a state_dict, or a dictionary that has it, at any depth: under the first of `params_ema`,
            `state_dict_ema`, `ema_state_dict`, `model_ema`, `ema`, `params`, `state_dict`, `model_state_dict`, `model`,
            `net`, `network` and `module`, or else under the only name that has weights.
    """
    return located(checkpoint)[1]


def located(checkpoint: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return where the state_dict in a checkpoint stands, such as "state_dict.model", and the state_dict."""
    path: list[str] = []
    while len(path) < _DEEPEST:  # a file can hold what contains itself
        inner = {nest: checkpoint[nest] for nest in _NESTS if _may_hold_tensors(checkpoint.get(nest))}
        if not inner and not _has_weights(checkpoint):
            named = {str(name): part for name, part in checkpoint.items() if _has_weights(part)}
            inner = named if len(named) == 1 else {}
        if not inner:
            break
        nest, checkpoint = next(iter(inner.items()))
        path.append(nest)
    return ".".join(path), checkpoint


def _may_hold_tensors(part: Any) -> bool:
    """Tell a state_dict, or what has one in it, from the settings that programs keep under the same names."""
    return isinstance(part, Mapping) and any(
        isinstance(entry, Tensor) or (name in _NESTS and isinstance(entry, Mapping)) for name, entry in part.items()
    )


def _has_weights(part: Any) -> bool:
    """Tell a state_dict from what else is saved beside it: its names are paths, and what they name are tensors."""
    return isinstance(part, Mapping) and any("." in str(name) and isinstance(part[name], Tensor) for name in part)


def fitted(state_dict: Mapping[str, Any], model: nn.Module) -> dict[str, Any]:
    """Return a state_dict under the names that a model has for its entries.

    Prefixes that all keys have are taken off as far as more keys fit then; what `torch.compile` and `DataParallel` put
    into names is passed over on both sides. A key that is not understood stays as it is.
    """
    names = {_bare(name): name for name, _ in model.named_modules(remove_duplicate=False)}
    bare = {key: _bare(key) for key in state_dict}
    prefix = max(
        _prefixes(bare.values()), key=lambda prefix: _fits(bare.values(), prefix, names)
    )  # the shortest of equals
    renamed = {}
    for key, entry in state_dict.items():
        path, _, leaf = bare[key].removeprefix(prefix).rpartition(".")
        new = ".".join(filter(None, (names[path], leaf))) if path in names else key
        renamed[new if new not in renamed else key] = entry
    return renamed


def _bare(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def _prefixes(keys: Iterable[str]) -> list[str]:
    """Return the prefixes that all keys have, from none to the longest."""
    paths = [key.split(".")[:-1] for key in keys]
    shared = [""]
    for parts in zip(*paths, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(f"{shared[-1]}{parts[0]}.")
    return shared


def _fits(keys: Iterable[str], prefix: str, names: Mapping[str, str]) -> int:
    return sum(key.removeprefix(prefix).rpartition(".")[0] in names for key in keys)
