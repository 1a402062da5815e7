"""Find a model's state_dict in a checkpoint, whatever dictionaries, key prefixes and wrappers surround it."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

# Keys under which programs save the state_dict; those preferred for inference (EMA weights) come first.
_NESTS = (
    *("params_ema", "state_dict_ema", "ema_state_dict", "model_ema", "ema"),
    *("params", "state_dict", "model_state_dict", "model", "net", "network", "module"),
)
_DEEPEST = 10  # levels of nesting
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
    """Return the path of the state_dict in a checkpoint, such as "state_dict.model", and the state_dict."""
    path: list[str] = []
    while len(path) < _DEEPEST:  # a dictionary in a file can contain itself
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
    """Tell whether a part may be or contain a state_dict; programs keep settings under the same names."""
    return isinstance(part, Mapping) and any(
        isinstance(entry, Tensor) or (name in _NESTS and isinstance(entry, Mapping)) for name, entry in part.items()
    )


def _has_weights(part: Any) -> bool:
    """Tell a state_dict from other saved parts: its keys are dotted names, and its values are tensors."""
    return isinstance(part, Mapping) and any("." in str(name) and isinstance(part[name], Tensor) for name in part)


def fitted(state_dict: Mapping[str, Any], model: nn.Module) -> dict[str, Any]:
    """Return a state_dict with its keys renamed to those of a model.

    A prefix that all keys share is removed if more keys match without it; `_orig_mod` (`torch.compile`) and `module`
    (`DataParallel`) are ignored on both sides. A key that matches nothing stays as it is.
    """
    names = {_bare(name): name for name, _ in model.named_modules(remove_duplicate=False)}
    bare = {key: _bare(key) for key in state_dict}
    prefix = max(
        _prefixes(bare.values()), key=lambda prefix: _fits(bare.values(), prefix, names)
    )  # of equally good prefixes, the shortest
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
