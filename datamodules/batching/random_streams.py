"""Random streams that do not disturb one another."""

import hashlib

import torch


def seeded_generator(*key: object) -> torch.Generator:
    """Return a CPU generator for a key such as (seed, "order", epoch).

    Every key has a stream of its own, so drawing more from one (say, a stronger augmentation) leaves the others as
    they were, and any epoch's draws can be made again without replaying those before it.
    """
    digest = hashlib.sha256(repr(key).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
