"""Recognise the network that a weight file belongs to, whatever the prefixes and nesting of its entries."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml  # type: ignore[import-untyped]
from hydra.utils import get_object
from torch import Tensor, nn

from wconv.experiment.common.checkout import CONFIGS

# Prefixes and infixes that torch.compile, DataParallel and FSDP add to names.
WRAPPERS = ("_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")


@dataclass(frozen=True)
class Recognised:
    """A denoiser recognised in a file.

    Attributes:
        model: with its weights.
        channels: 1 for grey, 3 for colour.
        description: architecture and place in the file, in one line.
    """

    model: nn.Module
    channels: int
    description: str


def recognise(where: str, entries: Mapping[str, Any]) -> Recognised:
    """Return the denoiser whose weights a file holds.

    Args:
        where: path of the weights in the file; "" for the file itself.
        entries: the weights by name.

    Raises:
        ValueError: no known denoiser was found; the message continues a sentence that starts with the file name.
    """
    # Names without a dot belong to no layer: a loss, an epoch.
    weights = {str(name): value for name, value in entries.items() if isinstance(value, Tensor) and "." in str(name)}
    state = {_without_wrappers(name): value for name, value in weights.items()}
    _check_own_memory(state)
    networks = _denoisers()
    for network in networks:
        if network.is_named_in(state):
            model = network.from_state_dict(state)
            place = f"the weights from {next(iter(weights))} on" + (f", under {where}" if where else "")
            return Recognised(model, model.arguments["channels"], f"{_describe(model)}; found as {place}")
    found = ", ".join(list(map(str, entries))[:3]) or "nothing"
    known = " or ".join(network.__name__ for network in networks)
    raise ValueError(f"expected the weights of one {known} and no others, found {found}")


def _describe(model: Any) -> str:
    """Describe a network in one line."""
    words = {True: "with ", False: "no "}
    facts = [
        f"{words[value]}{key}" if isinstance(value, bool) else f"{key} {value}"
        for key, value in ((key.replace("_", " "), value) for key, value in model.arguments.items())
    ]
    convolutions = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    biases = sum(layer.bias is not None for layer in convolutions)
    facts.append(f"biases in {biases} of {len(convolutions)} convolutions")
    return f"{type(model).__name__} of {', '.join(facts)}; its layers estimate {model.returns}"


def _denoisers() -> list[Any]:
    """Return the model classes of the project that can recognise their weights."""
    files = sorted((CONFIGS / "model").glob("*.yaml"))
    groups = [yaml.safe_load(file.read_text()) for file in files]
    classes = [get_object(group.get("model", group)["_target_"]) for group in groups]
    return [kind for kind in classes if hasattr(kind, "from_state_dict")]


def _without_wrappers(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def _check_own_memory(state: Mapping[str, Tensor]) -> None:
    """Refuse tensors that share memory, such as many views of few values."""
    storages = {value.untyped_storage().data_ptr(): value.untyped_storage().nbytes() for value in state.values()}
    if sum(value.numel() * value.element_size() for value in state.values()) > sum(storages.values()):
        raise ValueError("its weights share their memory, and no network here has weights in common")
