"""Check the name and stem of a network from torchvision or timm."""

import difflib
from collections.abc import Sequence

STEMS = ("small", "original")


def check_arguments(library: str, names: Sequence[str], name: str, stem: str) -> None:
    """Refuse a network that the library does not have, or an unknown stem.

    Args:
        library: its name.
        names: all networks that it has.
        name: the requested network.
        stem: "small" or "original".

    Raises:
        ValueError: there is no such network (the message suggests similar names) or no such stem.
    """
    if stem not in STEMS:
        raise ValueError(f"model.stem={stem}: choose {' or '.join(STEMS)}")
    if name not in names:
        near = difflib.get_close_matches(name, names, 3, cutoff=0.5)
        hint = f"did you mean {', '.join(near)}?" if near else f"it has {len(names)}, such as {names[0]}"
        raise ValueError(f"model.name={name}: {library} has no classifier of this name; {hint}")
