"""The folder of a search: created for its settings, and refused if it belongs to another search."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml  # type: ignore[import-untyped]

from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.common.files import write_atomically
from wconv.experiment.search.settings import Settings

FILE = "search.yaml"


def prepare(settings: Settings) -> None:
    """Create the folder, or check that it belongs to this search.

    Raises:
        ConfigError: it belongs to a search with other settings (the message names one), or is not writable.
    """
    try:
        settings.folder.mkdir(parents=True, exist_ok=True)
        if (settings.folder / FILE).exists():
            check(settings)
        else:
            write_atomically(settings.folder / FILE, yaml.safe_dump(settings.content, sort_keys=False).encode())
    except OSError as error:
        raise ConfigError(
            f"the folder {settings.folder} cannot be written ({error.strerror}); set paths.output_dir"
        ) from error


def check(settings: Settings) -> None:
    """Check that the folder belongs to this search.

    Raises:
        ConfigError: it belongs to another search, or cannot be read.
    """
    file = settings.folder / FILE
    try:
        there = dict(_by_key(yaml.safe_load(file.read_text())))
    except (OSError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise ConfigError(f"{file} cannot be read; remove the folder: finished runs are not trained again") from error
    here = dict(_by_key(settings.content))
    if differing := [key for key in {**there, **here} if there.get(key) != here.get(key)]:
        key = differing[0]
        more = f" (and {len(differing) - 1} more keys)" if len(differing) > 1 else ""
        raise ConfigError(
            f"{settings.folder} is that of a search with {key}={there.get(key)}, and this one has "
            f"{key}={here.get(key)}{more}; choose another paths.output_dir, or remove that folder"
        )


def _by_key(content: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _by_key(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value
