"""Expand the shorthand `fast=true`; the identity of a run depends only on the settings that it stands for."""

from collections.abc import Iterable

# Not `compile=true`: on a CPU it takes tens of seconds at the start, more than it saves in a short run.
FAST = ("trainer.precision=bf16-mixed", "channels_last=true")


def expand_fast(overrides: Iterable[str]) -> list[str]:
    """Replace `fast=true` by its settings; those that were typed explicitly win."""
    lines = list(overrides)
    others = [line for line in lines if not _is_fast(line)]
    if others == lines:
        return lines
    typed = {_key(line) for line in others}
    return [*others, *(setting for setting in FAST if _key(setting) not in typed)]


def _is_fast(line: str) -> bool:
    return _key(line) == "fast" and line.partition("=")[2].strip().lower() == "true"


def _key(line: str) -> str:
    return line.partition("=")[0].lstrip("+")
