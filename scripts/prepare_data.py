"""Download a data set, or check the one that is there: python scripts/prepare_data.py cifar100."""

import argparse
import os
import socket
import sys
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory

from torchvision.datasets import CIFAR100
from torchvision.datasets.utils import check_integrity, download_url, extract_archive

from datamodules.cifar100 import verify

DATA_DIR = Path(__file__).resolve().parent.parent / "data"
TIMEOUT = 60  # seconds without a byte; a compute node without a network may drop packets and never answer


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0, or 2 with one sentence on stderr."""
    parser = argparse.ArgumentParser(description=__doc__)
    datasets = parser.add_subparsers(dest="dataset", required=True, metavar="DATASET")
    cifar100 = datasets.add_parser("cifar100", help="60,000 images of 32x32 in 100 classes, 170 MB")
    cifar100.add_argument("--data-dir", type=Path, default=DATA_DIR, help="where to put it (%(default)s)")
    cifar100.add_argument("--url", default=CIFAR100.url, help="a mirror of the archive (%(default)s)")
    cifar100.set_defaults(prepare=prepare_cifar100)
    options = parser.parse_args(arguments)
    try:
        options.prepare(options.data_dir, options.url)
    except (ValueError, OSError) as error:
        print(f"prepare_data: {error}", file=sys.stderr)
        return 2
    return 0


def prepare_cifar100(data_dir: Path, url: str) -> None:
    """Make sure that `data_dir` holds the official CIFAR-100.

    Raises:
        ValueError: it does not, and why, and what to do.
        OSError: a file that is there cannot be read.
    """
    folder = data_dir / CIFAR100.base_folder
    try:
        verify(data_dir)
    except ValueError:
        fetch_archive(data_dir, url)
        try:
            extract_archive(data_dir / CIFAR100.filename, data_dir)
        except OSError as error:
            raise ValueError(
                f"{CIFAR100.filename} cannot be unpacked to {folder} ({error}); "
                f"make room there or choose another folder with --data-dir"
            ) from error
        verify(data_dir)
        print(f"CIFAR-100 is in {folder}, complete and verified:")
    else:
        print(f"CIFAR-100 is already in {folder}, complete and verified; nothing to do:")
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        print(f"  {path.name}: {path.stat().st_size:,} bytes")


def fetch_archive(data_dir: Path, url: str) -> None:
    """Download the archive of CIFAR-100, unless the right one lies there.

    It is named as the archive only once its md5 is right: an interrupted download leaves nothing behind, and
    an archive that somebody copied there stays until a better one has come.

    Raises:
        ValueError: what went wrong and what to do.
    """
    archive = data_dir / CIFAR100.filename
    again = f"copy {archive.name} by hand to {data_dir} and run this command again"
    if check_integrity(archive, CIFAR100.tgz_md5):
        return
    if archive.is_file():
        again = f"replace {archive}, which is not the official one either, by hand and run this command again"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        temporary = TemporaryDirectory(dir=data_dir, prefix=".download-")
    except OSError as error:
        raise ValueError(f"{data_dir} is no folder to write to ({error}); choose one with --data-dir") from error
    with temporary as folder:
        socket.setdefaulttimeout(TIMEOUT)
        try:
            download_url(url, folder, archive.name, CIFAR100.tgz_md5)
            os.replace(Path(folder) / archive.name, archive)
        except RuntimeError as error:  # torchvision's word for a wrong md5
            raise ValueError(
                f"what came from {url} is not the official {archive.name}, whose md5 is {CIFAR100.tgz_md5}; "
                f"run this command again, name a mirror with --url, or {again}"
            ) from error
        except (OSError, HTTPException, ValueError) as error:
            raise ValueError(
                f"{archive.name} could not be downloaded from {url} to {data_dir} ({error}); "
                f"check the network, name a mirror with --url, or {again}"
            ) from error


if __name__ == "__main__":
    sys.exit(main())
