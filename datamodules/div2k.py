"""DIV2K (Agustsson & Timofte 2017): 800 photographs of 2K resolution to train with, 100 to test with."""

import shlex
from pathlib import Path
from typing import Any

from datamodules.files.archive import IMAGE_NUMBERS
from datamodules.image_folder import ImageFolder


class DIV2K(ImageFolder):
    """The high-resolution images as the official archives unpack; the 100 validation images are the test set.

    Args:
        data_dir: the folder that holds `DIV2K_train_HR/` and `DIV2K_valid_HR/`.
        **options: as in `ImageFolder`, which has `train_dir` and `test_dirs` from here.
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
        ValueError: the folder or some of the files are not there.
    """
    files = [folder / f"{number:04d}.png" for number in IMAGE_NUMBERS[folder.name]]
    missing = [path.name for path in files if not path.is_file()]
    if missing:
        where = "does not exist" if not folder.exists() else f"lacks {len(missing)} of {len(files)} images"
        first = f" ({missing[0]} first)" if folder.exists() else ""
        raise ValueError(
            f"DIV2K's folder {folder} {where}{first}; run: python scripts/prepare_data.py div2k --data-dir "
            f"{shlex.quote(str(folder.parent))}, or point paths.data_dir at the folder that holds {folder.name}/"
        )
    return files
