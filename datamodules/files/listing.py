"""List the image files of a folder, by one rule for all data sets and commands (docs/images.md)."""

import os
import stat
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from datamodules.files.names import printable

EXTENSIONS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".pgm", ".ppm", ".pnm", ".pbm")
# Image formats that are not read, but warned about, since the user may have expected them to be.
OTHER_FORMATS = (
    *(".gif", ".apng", ".heic", ".heics", ".heif", ".hif", ".avif", ".avifs", ".jxl", ".jp2", ".j2k", ".jpf", ".jpx"),
    *(".jfif", ".jpe", ".mpo", ".bpg", ".qoi", ".svg", ".eps", ".psd", ".xcf", ".tga", ".pcx", ".dib", ".ico", ".cur"),
    *(".icns", ".dds", ".exr", ".hdr", ".pfm", ".dcm", ".fits"),
    *(".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".srw", ".orf", ".rw2", ".raf", ".pef", ".x3f", ".3fr", ".rwl"),
)
# Names that systems create in folders, in lower case; names with a leading dot are also skipped.
LEFTOVERS = {
    *("@eadir", "@tmp", "@synoresource", "@sharebin", "#recycle", "#snapshot"),  # NAS of Synology
    *("@recycle", "@recently-snapshot"),  # NAS of QNAP
    *("__macosx", "network trash folder", "temporary items"),  # macOS
    *("$recycle.bin", "recycler", "recycled", "found.000", "system volume information"),  # Windows
    *("thumbs.db", "ehthumbs.db", "desktop.ini"),
    *("lost+found", "~snapshot", "__pycache__"),
}
THUMBNAILS = ("synophoto_thumb", "synofile_thumb")  # of a Synology NAS, after they were copied out of their folder

Above = frozenset[tuple[int, int]]  # device and inode of all parent folders


def list_images(folder: Path, option: str) -> list[Path]:
    """List the images in and below a folder, sorted by their path.

    Args:
        folder: where to look.
        option: the option that set the folder, for the message.

    Raises:
        ValueError: `folder` is not a folder, is a broken link, or has no image; or as in `find_images`.
    """
    refuse_dead_link(folder)
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "does not exist"
        raise ValueError(f"the folder {printable(folder)} {found}; point {option} at a folder of images")
    images = find_images(folder)
    if not images:
        raise ValueError(
            f"the folder {printable(folder)} holds no image ({' '.join(EXTENSIONS)}); fill it, or point {option} "
            "at another"
        )
    return images


def find_images(folder: Path) -> list[Path]:
    """List the images in and below a folder, sorted by path; a warning counts images of other formats.

    Raises:
        ValueError: a link is broken, or a folder cannot be listed; the message is one sentence.
    """
    images, others = [], Counter[str]()
    for path in _files(folder, _above(folder)):
        suffix = path.suffix.lower()
        if suffix in EXTENSIONS:
            images.append(path)
        elif suffix in OTHER_FORMATS:
            others[suffix] += 1
    if others:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(others.items()))
        # No stacklevel: Python shows a repeated warning from the same line only once.
        warnings.warn(
            f"{printable(folder)}: images of formats that are not read are passed over ({kinds}); "
            "save them as PNG to use them",
            stacklevel=1,
        )
    return sorted(images, key=lambda path: path.relative_to(folder).as_posix())


def find_folders(folder: Path) -> list[Path]:
    """List the folders in a folder, sorted by their names; raises as `find_images`."""
    return [path for path, identity in _entries(folder, _above(folder)) if identity]


def refuse_dead_link(path: Path) -> None:
    """Raise `ValueError`, in one sentence, if a path is a broken link."""
    if path.is_symlink() and not path.exists():
        raise ValueError(
            f"the link {printable(path)} leads nowhere (to {printable(os.readlink(path))}); mend or remove it"
        )


def _above(folder: Path) -> Above:
    real = folder.resolve()
    return frozenset(_identity(path.stat()) for path in (real, *real.parents))


def _files(folder: Path, above: Above) -> Iterator[Path]:
    """Yield the files in and below a folder."""
    for path, identity in _entries(folder, above):
        if identity:
            yield from _files(path, above | {identity})
        else:
            yield path


def _entries(folder: Path, above: Above) -> Iterator[tuple[Path, tuple[int, int] | None]]:
    """Yield the files and folders in a folder, folders with their device and inode; links are followed."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise ValueError(
            f"the folder {printable(folder)} cannot be listed ({error.strerror}); make it readable or remove it"
        ) from error
    for name in names:
        path = folder / name
        if _is_leftover(name):
            continue
        try:
            status = path.stat()
        except OSError as error:
            refuse_dead_link(path)
            if isinstance(error, FileNotFoundError):  # removed after its parent was listed
                continue
            raise
        if stat.S_ISDIR(status.st_mode):
            # A link to one of its own parent folders would loop forever.
            if _identity(status) not in above:
                yield path, _identity(status)
        elif stat.S_ISREG(status.st_mode):
            yield path, None


def _is_leftover(name: str) -> bool:
    lower = name.lower()
    return lower.startswith((".", *THUMBNAILS)) or lower in LEFTOVERS


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
