"""Results of a denoiser on single test images: images.csv and panels."""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytorch_lightning as pl
from PIL import Image

from wconv.experiment.common.files import write_atomically
from wconv.experiment.common.text import escape_control_characters
from wconv.experiment.reports.panels import DIFFERENCE_GAIN, difference, encode_png, make_panel
from wconv.experiment.tasks.denoising import Denoising
from wconv.experiment.tasks.image_quality import psnr

PANELS = 8
NAME_BYTES = 200  # of the file name of a panel; file systems allow 255, and the temporary file needs some


class ImageResults(pl.Callback):
    """Write PSNR and SSIM of every test image, and draw panels of some; does nothing in other tasks.

    Args:
        directory: folder of the run.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.panels: dict[str, dict[str, Image.Image]] = {}  # by set and image
        self.files: dict[tuple[str, int], str] = {}  # by set and position

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Choose distinct file names for the panels of all images, including those of other processes."""
        if isinstance(pl_module, Denoising):
            assert trainer.test_dataloaders is not None
            dataset = trainer.test_dataloaders.dataset
            images = [dataset[index] for index in range(len(dataset))]
            names = panel_names((image.set_name, image.name) for image in images)
            self.files = {(image.set_name, image.position): name for image, name in zip(images, names, strict=True)}

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Draw the panel of the image if it is in the sample spread over the test sets."""
        count = int(trainer.num_test_batches[0])
        wanted = np.linspace(0, count - 1, max(1, PANELS // trainer.world_size)).round()
        if isinstance(pl_module, Denoising) and batch_idx in wanted:
            path = self.directory / "images" / f"{self.files[batch.set_name, batch.position]}.png"
            panel = make_panel(
                {
                    "clean": batch.clean,
                    f"noisy {psnr(outputs['noisy'], batch.clean):.2f} dB": outputs["noisy"],
                    f"denoised {psnr(outputs['denoised'], batch.clean):.2f} dB": outputs["denoised"],
                    f"error, {DIFFERENCE_GAIN} times": difference(outputs["denoised"], batch.clean),
                }
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, encode_png(panel))
            self.panels.setdefault(batch.set_name, {})[batch.name] = panel

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write images.csv; loggers that accept images and tables get those of a test set together."""
        if isinstance(pl_module, Denoising) and trainer.is_global_zero:
            write_atomically(
                self.directory / "images.csv", pl_module.images.to_csv(index=False).encode(errors="backslashreplace")
            )
            for logger in trainer.loggers:
                if hasattr(logger, "log_image"):
                    for name, panels in self.panels.items():
                        logger.log_image(f"test/{name}", list(panels.values()), caption=list(panels))
                if hasattr(logger, "log_table"):
                    logger.log_table("test/images", dataframe=pl_module.images)


def panel_names(images: Iterable[tuple[str, str]]) -> list[str]:
    """Return the name of each image's panel, without extension: SET-IMAGE, with a number if it is taken.

    Args:
        images: set and name of each; a name may contain folders.
    """
    taken, names = set[str](), []
    for set_name, image in images:
        text = f"{set_name}-{PurePosixPath(image).with_suffix('')}".replace("/", "-")
        # The file system of the run may not accept every name of the images: undecodable bytes, long names.
        stem = name = escape_control_characters(text).encode()[:NAME_BYTES].decode(errors="ignore")
        number = 1
        while name.casefold() in taken:  # some file systems ignore case
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.casefold())
        names.append(name)
    return names
