"""Find the photos named on a command line, and the output path of each."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.inference.photo import EXTENSIONS

FindImages = Callable[[Path], list[Path]]


def plan(inputs: list[Path], out: Path, find_images: FindImages) -> dict[Path, Path]:
    """Return a mapping from output path to input path, in order.

    Args:
        inputs: photos, and folders, from which all photos outside `out` are taken.
        out: a folder, or the output file if the only input is a file.
        find_images: lists the photos in and below a folder, or raises `ValueError` with one sentence. It is an argument
            because it lies in `datamodules`, which no package of `wconv.experiment` may import.

    Raises:
        ConfigError: there is nothing to do, or an output path would be used twice or is an input.
    """
    places: dict[Path, Path] = {}
    for source, target in _pairs(inputs, out, find_images):
        other = places.setdefault(target, source)
        if source != other and source.resolve() != other.resolve():
            raise ConfigError(f"{other} and {source} would both be written to {target}; clean them one by one")
    originals = {source.resolve() for source in places.values()}
    files = {_identity(source) for source in originals}
    for target, source in places.items():
        if target.resolve() in originals or (target.exists() and _identity(target) in files):
            raise ConfigError(f"the cleaned {source} would replace the input {target}; choose another place with -o")
        if target.is_dir():
            raise ConfigError(f"{source} cannot go to {target}, which is a folder; choose another place with -o")
    return places


def _pairs(inputs: list[Path], out: Path, find_images: FindImages) -> Iterator[tuple[Path, Path]]:
    for path in inputs:
        if path.is_symlink() and not path.exists():
            raise ConfigError(f"the link {path} leads nowhere (to {os.readlink(path)}); mend or remove it")
        if not path.exists():
            raise ConfigError(f"{path} does not exist; name photos and folders of photos")
    if len(inputs) == 1 and inputs[0].is_file() and _is_file_name(out):
        if _kind(inputs[0]) != _kind(out):
            raise ConfigError(
                f"{out} would have the format of {inputs[0]}; give it the ending {inputs[0].suffix!r} too"
            )
        yield inputs[0], out
        return
    if (out.exists() and not out.is_dir()) or (not out.exists() and _is_file_name(out)):
        raise ConfigError(f"{out} is no folder, and only a single picture can go to a file; name a folder with -o")
    for path in inputs:
        if path.is_dir():
            yield from ((photo, out / photo.relative_to(path)) for photo in _photos(path, out, find_images))
        else:
            yield path, out / path.name


def _photos(folder: Path, out: Path, find_images: FindImages) -> list[Path]:
    try:
        found = find_images(folder)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    # Results of an earlier call that lie inside the folder. If `out` is the folder itself, `plan` refuses.
    results = out.resolve()
    if results != folder.resolve():
        found = [path for path in found if not path.resolve().is_relative_to(results)]
    if not found:
        raise ConfigError(f"{folder} holds no picture ({' '.join(EXTENSIONS)}); name another folder")
    return found


def _is_file_name(path: Path) -> bool:
    return path.is_file() if path.exists() else path.suffix.lower() in EXTENSIONS


def _kind(path: Path) -> str:
    """Return the extension, normalised for synonyms."""
    ending = path.suffix.lower()
    return {".jpeg": ".jpg", ".tiff": ".tif"}.get(ending, ending)


def _identity(path: Path) -> tuple[int, int]:
    """Return device and inode of a file, which are the same for all names and links."""
    status = os.stat(path)
    return status.st_dev, status.st_ino
