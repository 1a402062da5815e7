"""Read the files of a run folder, which may be damaged or come from an untrusted source.

config.yaml and results.json contain a checksum of themselves, so that damage and changes by hand are detected. Older
files without a checksum are read as they are.

YAML and pandas are imported inside functions, because the status of a sweep needs neither.
"""

import csv
import hashlib
import json
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wconv.experiment.common.exceptions import ConfigError

if TYPE_CHECKING:
    import pandas as pd

SEAL = "sha256"
LARGEST = 16 * 2**20  # bytes of results.json at most
LARGEST_CONFIG = 2**20
DEEPEST = 20  # levels of nesting at most
CHANGED = "was changed after it was written: its checksum is wrong"


def check_folder(run: Path) -> None:
    """Refuse a folder in which a link leads elsewhere, or something is neither a file nor a folder.

    Through a link, the run would read or write files that do not belong to it; reading a pipe would never end. The
    folder of the run may itself be a link.

    Raises:
        ConfigError: there is such an entry; the message names it and says what to do.
    """
    root = os.path.realpath(run)
    settings = run / "wandb" / "settings"
    if settings.exists():
        raise ConfigError(f"{settings} could send what W&B logs, and its key, to any server; remove it")
    for entry in _entries(run):
        if entry.is_symlink():
            if not Path(os.path.realpath(entry.path)).is_relative_to(root):
                raise ConfigError(f"{entry.path} is a link that leads out of the run folder; replace it by a copy")
        elif not entry.is_dir() and not entry.is_file():
            raise ConfigError(f"{entry.path} is neither a file nor a folder; remove it")


def _entries(folder: Path) -> Iterator["os.DirEntry[str]"]:
    with os.scandir(folder) as found:
        entries = list(found)
    for entry in entries:
        yield entry
        # W&B keeps links to its logs elsewhere, and writes only through links of its own.
        if entry.is_dir(follow_symlinks=False) and entry.name != "wandb":
            yield from _entries(Path(entry.path))


def sealed_config(text: str) -> str:
    """Prepend its checksum to a configuration."""
    return f"{_first_line(text)}\n{text}"


def read_config(run: Path) -> dict[str, Any]:
    """Read config.yaml: plain values, because train.py has resolved all interpolations.

    Raises:
        ValueError: the file is invalid or was changed; the message continues a sentence that starts with its name.
        OSError: it cannot be read.
    """
    import yaml  # type: ignore[import-untyped]

    text = _text(run / "config.yaml", LARGEST_CONFIG)
    first, _, rest = text.partition("\n")
    if re.search(r"[0-9a-fA-F]{60}", first) and first != _first_line(rest):
        raise ValueError(CHANGED)
    depth = 0
    for event in yaml.parse(text, Loader=_yaml_loader()):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        # Nested aliases can expand without bound, and a tag can create an object.
        if isinstance(event, yaml.AliasEvent) or depth > DEEPEST or getattr(event, "tag", None):
            raise ValueError(f"has an alias, a tag or deep nesting in line {event.start_mark.line + 1}")
    content = yaml.load(text, Loader=_yaml_loader())
    if not isinstance(content, dict) or not content:
        raise ValueError("holds no keys")
    if "${" in text and (foreign := next(_interpolations(content), None)):
        raise ValueError(f"holds the interpolation {foreign}, where train.py writes values")
    return {str(key): value for key, value in content.items()}


@cache
def _yaml_loader() -> Any:
    """Return a loader that reads YAML as OmegaConf does: 1e-3 is a number, a date is a text, keys are unique.

    It uses PyYAML's C loader if available and is ten times as fast, which matters when comparing a thousand runs.
    """
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
            keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            if len(set(keys)) < len(keys):
                raise ValueError(f"has a key twice, below line {node.start_mark.line + 1}")
            return super().construct_mapping(node, deep)

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in Loader.yaml_implicit_resolvers.items()
    }
    exponent = re.compile(r"[-+]?\d[\d_]*(\.[\d_]*)?[eE][-+]?\d+$")
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", exponent, list("-+0123456789"))
    return Loader


def sealed_results(content: dict[str, Any]) -> str:
    """Return results.json with its checksum in it.

    Raises:
        ValueError: a number is not finite, which JSON cannot represent.
    """
    plain = json.loads(json.dumps(content, allow_nan=False))
    return json.dumps(plain | {SEAL: _digest(plain)}, indent=2) + "\n"


def read_results(run: Path) -> dict[str, Any]:
    """Read results.json.

    Raises:
        ValueError: the file is invalid or was changed; the message continues a sentence that starts with its name.
        OSError: it cannot be read.
    """
    content, sound = read_results_unverified(run)
    if not sound:
        raise ValueError(CHANGED)
    return content


def read_results_unverified(run: Path) -> tuple[dict[str, Any], bool]:
    """Read results.json, and return whether its checksum is right; otherwise raises as `read_results`."""
    try:
        content = json.loads(_text(run / "results.json", LARGEST))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON ({error})") from error
    if not isinstance(content, dict):
        raise ValueError("holds no JSON object")
    seal = content.pop(SEAL, None)
    return content, seal in (None, _digest(content))


def read_table(path: Path) -> "pd.DataFrame":
    """Read metrics.csv or timing.csv, one row per epoch; no rows if there is no file yet."""
    import pandas as pd

    return pd.read_csv(path) if path.exists() else pd.DataFrame({"epoch": []})


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read metrics.csv or timing.csv as text, without pandas; no rows if it cannot be read."""
    try:
        with path.open(newline="") as file:
            return list(csv.DictReader(file))
    except (OSError, ValueError):
        return []


def _first_line(text: str) -> str:
    return f"# {SEAL} of the lines below: {hashlib.sha256(text.encode()).hexdigest()}"


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _text(file: Path, largest: int) -> str:
    if not file.is_file() and file.exists():
        raise ValueError("is no file")
    if (size := file.stat().st_size) > largest:
        raise ValueError(f"is of {size} bytes, and {largest} are the most that it can need")
    return file.read_bytes().decode()


def _interpolations(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        for key, value in part.items():
            yield from _interpolations(key)
            yield from _interpolations(value)
    elif isinstance(part, list):
        for value in part:
            yield from _interpolations(value)
    elif isinstance(part, str) and "${" in part:
        yield part
