"""Independent random streams, one for each purpose."""

import hashlib

import torch


def seeded_generator(*key: object) -> torch.Generator:
    """Return a CPU generator for a key such as (seed, "order", epoch).

    Every key has its own stream, so drawing more from one (say, a stronger augmentation) does not change the others,
    and the draws of any epoch can be repeated without replaying those before it.
    """
    digest = hashlib.sha256(repr(key).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
