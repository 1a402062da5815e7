"""DIV2K (Agustsson & Timofte 2017): 800 photographs of 2K resolution for training, 100 for testing."""

import shlex
from pathlib import Path
from typing import Any

from datamodules.files.archive import IMAGE_NUMBERS, find_elsewhere, missing_images
from datamodules.files.listing import refuse_dead_link
from datamodules.image_folder import ImageFolder


class DIV2K(ImageFolder):
    """The high-resolution images of the official archives; the 100 validation images are the test set.

    Args:
        data_dir: the folder that holds `DIV2K_train_HR/` and `DIV2K_valid_HR/`.
        **options: as in `ImageFolder`, except `train_dir` and `test_dirs`, which are set here.
    """

    dataset = "div2k"

    def __init__(self, data_dir: str, **options: Any) -> None:
        self.data_dir = Path(data_dir)
        train, test = (str(self.data_dir / name) for name in IMAGE_NUMBERS)
        super().__init__(train_dir=train, val_dir=None, test_dirs=[test], **options)

    def files(self, folder: Path, option: str) -> list[Path]:
        """List the official files."""
        return official_files(folder)


def official_files(folder: Path) -> list[Path]:
    """List the images that one of the two folders must hold, by the official numbering.

    Raises:
        ValueError: the folder or some of the files are missing or broken links.
    """
    files = [folder / f"{number:04d}.png" for number in IMAGE_NUMBERS[folder.name]]
    missing = missing_images(folder)
    if not missing:
        return files
    for path in (folder, folder / missing[0]):
        refuse_dead_link(path)
    where = "does not exist" if not folder.exists() else f"lacks {len(missing)} of {len(files)} images"
    first = f" ({missing[0]} first)" if folder.exists() else ""
    if (found := find_elsewhere(folder)) is not None:
        what = f"they are all in {found}: move them to {folder}" if folder.exists() else f"it is {found}: move it there"
        if found.name == folder.name and found.parent != folder:
            what += f", or point paths.data_dir at {found.parent}"
        raise ValueError(f"DIV2K's folder {folder} {where}{first}, but {what}")
    raise ValueError(
        f"DIV2K's folder {folder} {where}{first}; run: python scripts/prepare_data.py div2k --data-dir "
        f"{shlex.quote(str(folder.parent))}, or point paths.data_dir at the folder that holds {folder.name}/"
    )
