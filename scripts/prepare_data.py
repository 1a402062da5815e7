"""Download a data set, or verify an existing copy: python scripts/prepare_data.py cifar100 (or div2k)."""

import argparse
import sys
from pathlib import Path

from wconv.experiment.common.output import tolerate_closed_output

DATA_DIR = Path(__file__).resolve().parent.parent / "data"
CIFAR100_SIZE = 169_001_437  # bytes of the archive; torchvision has its md5
DIV2K_URL = "http://data.vision.ee.ethz.ch/cvl/DIV2K/"


@tolerate_closed_output(drop_lines=True)
def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0, or 2 with one sentence on stderr; 75 when stopped by Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__)
    datasets = parser.add_subparsers(dest="dataset", required=True, metavar="DATASET")
    cifar100 = datasets.add_parser("cifar100", help="60,000 images of 32x32 in 100 classes, 170 MB")
    cifar100.add_argument("--url", help="a mirror of the archive (default: where torchvision gets it)")
    cifar100.set_defaults(prepare=prepare_cifar100)
    div2k = datasets.add_parser("div2k", help="900 photographs of 2K resolution; 4 GB to download, 12 GB on the disk")
    div2k.add_argument("--url", default=DIV2K_URL, help="a mirror of the folder of the archives (%(default)s)")
    div2k.set_defaults(prepare=prepare_div2k)
    for dataset in (cifar100, div2k):
        dataset.add_argument("--data-dir", type=Path, default=DATA_DIR, help="where to put it (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        options.prepare(options.data_dir, options.url)
    except (ValueError, OSError) as error:
        print(f"prepare_data: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("prepare_data: stopped; run the same command to continue", file=sys.stderr)
        return 75
    return 0


def prepare_cifar100(data_dir: Path, url: str | None) -> None:
    """Make sure that `data_dir` holds the official CIFAR-100.

    Raises:
        ValueError: it does not; the message says why and what to do.
        OSError: an existing file cannot be read.
    """
    from torchvision.datasets import CIFAR100  # slow imports are inside functions: --help is fast
    from torchvision.datasets.utils import extract_archive

    from datamodules.cifar100 import verify
    from datamodules.files.download import download

    folder = data_dir / CIFAR100.base_folder
    try:
        verify(data_dir)
    except ValueError:
        archive = data_dir / CIFAR100.filename
        download(url or CIFAR100.url, archive, CIFAR100_SIZE, CIFAR100.tgz_md5)
        try:
            extract_archive(archive, data_dir)
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


def prepare_div2k(data_dir: Path, url: str) -> None:
    """Make sure that `data_dir` holds the high-resolution images of DIV2K, and their decoded copies in `stores`.

    Raises:
        ValueError: it does not; the message says why and what to do.
        OSError: an existing file cannot be read.
    """
    from datamodules.div2k import official_files
    from datamodules.files.archive import ARCHIVES, check_space, find_elsewhere, missing_images, unpack
    from datamodules.files.download import download, make_folder
    from datamodules.files.image_store import open_store

    to_do = [name for name in ARCHIVES if missing_images(data_dir / name)]
    for name in to_do:
        if find_elsewhere(data_dir / name) is not None:
            official_files(data_dir / name)  # raises if they lie elsewhere, and need no second download
    if to_do:
        make_folder(data_dir)
        check_space(data_dir, to_do)
    for name in to_do:
        archive = data_dir / f"{name}.zip"
        download(f"{url.rstrip('/')}/{archive.name}", archive, *ARCHIVES[name])
        print(f"unpacking {archive.name}", flush=True)
        unpack(archive, data_dir / name)
        archive.unlink()
        print(f"removed {archive}, which is unpacked", flush=True)
    folders = [data_dir / name for name in ARCHIVES]
    counts = [len(open_store(official_files(folder), folder, data_dir / "stores", channels=3)) for folder in folders]
    if to_do:
        print(f"DIV2K is in {data_dir}, complete:")
    else:
        print(f"DIV2K is already in {data_dir}, complete; nothing to download:")
    for name, count in zip(ARCHIVES, counts, strict=True):
        print(f"  {name}: {count} images")


if __name__ == "__main__":
    sys.exit(main())
