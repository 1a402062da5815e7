"""How a network of another library is looked up by its name."""

import difflib
from collections.abc import Sequence

STEMS = ("small", "original")


def check_arguments(library: str, names: Sequence[str], name: str, stem: str) -> None:
    """Refuse a network that a library lacks.

    Args:
        library: what it is called.
        names: of its networks.
        name: of the one that is asked for.
        stem: "small" or "original".

    Raises:
        ValueError: there is no such network, and which have a similar name; or there is no such stem.
    """
    if stem not in STEMS:
        raise ValueError(f"model.stem={stem}: choose {' or '.join(STEMS)}")
    if name not in names:
        near = difflib.get_close_matches(name, names, 3, cutoff=0.5)
        hint = f"did you mean {', '.join(near)}?" if near else f"it has {len(names)}, such as {names[0]}"
        raise ValueError(f"model.name={name}: {library} has no classifier of this name; {hint}")
