"""The official archives of DIV2K: sizes, checksums, contents, and unpacking."""

import re
import shutil
import stat
import zlib
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from zipfile import BadZipFile, ZipFile, ZipInfo

from rich.filesize import decimal


class Archive(NamedTuple):
    """Size in bytes and md5 of a zip file."""

    size: int
    md5: str


IMAGE_NUMBERS = {"DIV2K_train_HR": range(1, 801), "DIV2K_valid_HR": range(801, 901)}
# Keyed by the folder that each unpacks to. Coloquinte/torchSR and other projects check the same md5s.
ARCHIVES = {
    "DIV2K_train_HR": Archive(3_530_603_713, "bdc2d9338d4e574fe81bf7d158758658"),
    "DIV2K_valid_HR": Archive(448_993_893, "9fcdda83005c5e5997799b69f955ff88"),
}
# Disk space needed, in sizes of an archive: its images (1) and their decoded copy (about 2). The archive itself is
# removed before that copy is made.
SPACE = 3


def missing_images(folder: Path) -> list[str]:
    """Return the names of the official images that are missing in one of the two folders."""
    names = [f"{number:04d}.png" for number in IMAGE_NUMBERS[folder.name]]
    return [name for name in names if not (folder / name).is_file()]


def find_elsewhere(folder: Path) -> Path | None:
    """Find the images missing in one of the two folders where users who unpack by hand often leave them.

    That is one level down (`DIV2K_train_HR/DIV2K_train_HR`, `data/DIV2K/DIV2K_train_HR`), or one level up, if one of
    the two folders was given as the data folder.
    """
    missing = missing_images(folder)
    above = folder.parent.resolve()
    beside = sorted(folder.parent.glob(f"*/{folder.name}"))
    near = [folder / folder.name, *beside, *([above] if above.name == folder.name else [])]
    return next((path for path in near if all((path / name).is_file() for name in missing)), None)


def check_space(data_dir: Path, names: list[str]) -> None:
    """Print how much space some archives need, and check that it is free.

    Raises:
        ValueError: it is not.
    """
    needed = 0
    for name in names:
        archives = (data_dir / f"{name}.zip", data_dir / f"{name}.zip.part")
        needed += SPACE * ARCHIVES[name].size - sum(path.stat().st_size for path in archives if path.is_file())
    free = shutil.disk_usage(data_dir).free
    if free < needed:
        raise ValueError(
            f"DIV2K needs about {decimal(needed)} more in {data_dir} (its archives, images and their decoded copy), "
            f"where {decimal(free)} are free; make room there, or choose another folder with --data-dir"
        )
    print(f"DIV2K needs about {decimal(needed)} more in {data_dir}; {decimal(free)} are free", flush=True)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive next to its folder, and rename the result to the folder once all images are there.

    An existing folder keeps its images and gets the missing ones.

    Raises:
        ValueError: the archive is wrong or damaged, or there is no room; the message is one sentence.
    """
    # A fixed name, so that leftovers of a killed process are found and removed.
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    missing = missing_images(folder)
    try:
        with ZipFile(archive) as opened:
            images = _images(opened, folder.name)
            lacking = [name for name in missing if name not in images]
            if lacking:
                raise ValueError(
                    f"{archive} lacks {len(lacking)} of the images of {folder.name} ({lacking[0]} first); "
                    "replace it by the official one"
                )
            part.mkdir()
            for name in missing:
                # The path does not come from the archive, so that nothing can be written elsewhere.
                with opened.open(images[name]) as source, (part / name).open("wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
        if folder.is_dir():
            for name in missing:
                (part / name).rename(folder / name)
        else:
            part.rename(folder)
    except (BadZipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{archive} is no whole archive ({error}); remove it and run this command again") from error
    except OSError as error:
        raise ValueError(
            f"{archive.name} cannot be unpacked to {folder} ({error.strerror or error}); "
            "make room there or choose another folder with --data-dir"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _images(archive: ZipFile, folder: str) -> dict[str, ZipInfo]:
    """Return the entries FOLDER/NNNN.png by file name; other harmless entries are ignored.

    Raises:
        ValueError: an entry would be written outside the folder.
    """
    images = {}
    for entry in archive.infolist():
        path = PurePosixPath(entry.filename)
        if path.is_absolute() or ".." in path.parts or stat.S_ISLNK(entry.external_attr >> 16):
            raise ValueError(
                f"{archive.filename} holds {entry.filename!r}, which leads out of {folder}; "
                "nothing was unpacked, replace it by the official one"
            )
        if re.fullmatch(rf"{folder}/\d{{4}}\.png", entry.filename):
            images[path.name] = entry
    return images
