"""Read a sweep file of configs/sweep: overrides of train.py for every run."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

OUTPUT_DIR_KEY = "paths.output_dir"
KEYS = ("overrides", "grid", "runs")


@dataclass(frozen=True)
class SweepFile:
    """The content of a sweep file.

    Attributes:
        name: of the sweep.
        file: its path.
        overrides: of every run.
        runs: overrides of named runs, each combined with every cell of the grid; one empty list if none are named.
        grid: values by key.
    """

    name: str
    file: Path
    overrides: tuple[str, ...]
    runs: tuple[tuple[str, ...], ...]
    grid: dict[str, tuple[str, ...]]

    def lines(self, more: Iterable[str] = ()) -> list[list[str]]:
        """Return the overrides of each run, each key once; all named runs of one cell of the grid come together.

        Args:
            more: overrides that hold for every run and win.
        """
        cells = [[f"{key}={value}" for key, value in zip(self.grid, cell, strict=True)] for cell in self._cells()]
        lines = [self._once([*self.overrides, *run, *cell, *more]) for cell in cells for run in self.runs]
        return [list(line) for line in dict.fromkeys(map(tuple, lines))]

    def _cells(self) -> Iterable[tuple[str, ...]]:
        return product(*self.grid.values())

    @staticmethod
    def _once(overrides: list[str]) -> list[str]:
        return list({override.partition("=")[0]: override for override in overrides}.values())


def read_sweep_file(name: str, folder: Path) -> SweepFile:
    """Read a sweep.

    Args:
        name: of a file in the folder, or the path of a file.
        folder: of the sweep files.

    Raises:
        ValueError: there is no such sweep, or its file is invalid.
    """
    file = Path(name) if name.endswith((".yaml", ".yml")) else folder / f"{name}.yaml"
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except OSError:
        there = sorted(path.stem for path in folder.glob("*.yaml"))
        near = difflib.get_close_matches(name, there, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"there is no sweep {name!r}: {hint}{folder} has {', '.join(there)}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not UTF-8: save it as such ({error.reason} at byte {error.start})") from error
    except yaml.YAMLError as error:
        raise ValueError(f"{file} is not YAML: {' '.join(str(error).split())}") from error
    wrong = [key for key in content if key not in KEYS] if isinstance(content, dict) else [content]
    if wrong:
        raise ValueError(f"{file}: {wrong[0]!r} is none of {', '.join(KEYS)}, which make a sweep")
    overrides = _overrides(content.get("overrides") or [], "overrides", file)
    runs, grid = _runs(content.get("runs") or [[]], file), _grid(content, file)
    if any(
        override.partition("=")[0] == OUTPUT_DIR_KEY for override in (*grid, *(entry for run in runs for entry in run))
    ):
        raise ValueError(f"{file}: a sweep has one folder: {OUTPUT_DIR_KEY} belongs in overrides, not in runs or grid")
    return SweepFile(file.stem, file, overrides, runs, grid)


def _overrides(value: Any, key: str, file: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(entry, str) and "=" in entry for entry in value):
        raise ValueError(f"{file}: {key}: {value!r} should be a list of overrides such as [conv=weighted, seed=0]")
    return tuple(value)


def _runs(value: Any, file: Path) -> tuple[tuple[str, ...], ...]:
    if not isinstance(value, list):
        raise ValueError(f"{file}: runs: {value!r} should be a list of runs, each a list such as [seed=0]")
    return tuple(_overrides(run, "runs", file) for run in value)


def _grid(content: dict[str, Any], file: Path) -> dict[str, tuple[str, ...]]:
    grid = content.get("grid") or {}
    if not isinstance(grid, dict):
        raise ValueError(f"{file}: grid: {grid!r} should be keys with their values, such as {{seed: [0, 1]}}")
    if empty := [key for key, values in grid.items() if values == []]:
        raise ValueError(f"{file}: grid: {empty[0]} names no value at all; give it one, or leave the key out")
    return {
        str(key): tuple(map(format_override, values if isinstance(values, list) else [values]))
        for key, values in grid.items()
    }


def format_override(value: Any) -> str:
    """Format a value for Hydra on a command line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(map(format_override, value))}]"
    return str(value)
