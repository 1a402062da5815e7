"""Named random streams; none depends on how much was drawn from another."""

import hashlib

import torch


def derive_seed(*key: object) -> int:
    """Return a seed for a key such as (seed, "noise", epoch)."""
    text = "/".join(map(str, key))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def seeded_generator(*key: object, device: torch.device | str = "cpu") -> torch.Generator:
    """Return an independent generator for a key."""
    return torch.Generator(device).manual_seed(derive_seed(*key))
