"""images.csv and panels of what a denoiser did to test images."""

from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
from PIL import Image

from wconv.experiment.common.files import write_atomically
from wconv.experiment.reports.panels import DIFFERENCE_GAIN, difference, encode_png, make_panel
from wconv.experiment.tasks.denoising import Denoising
from wconv.experiment.tasks.image_quality import psnr

PANELS = 8


class ImageResults(pl.Callback):
    """Write PSNR and SSIM of every test image, and draw some of them; does nothing in other tasks.

    Args:
        directory: folder of the run.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.panels: dict[str, dict[str, Image.Image]] = {}  # by set and image

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Draw the image if it is one of those spread over the test sets."""
        count = int(trainer.num_test_batches[0])
        wanted = np.linspace(0, count - 1, max(1, PANELS // trainer.world_size)).round()
        if isinstance(pl_module, Denoising) and batch_idx in wanted:
            name = Path(batch.name).with_suffix("").as_posix().replace("/", "-")
            path = self.directory / "images" / f"{batch.set_name}-{name}.png"
            panel = make_panel(
                {
                    "clean": batch.clean,
                    f"noisy {psnr(outputs['noisy'], batch.clean):.2f} dB": outputs["noisy"],
                    f"denoised {psnr(outputs['denoised'], batch.clean):.2f} dB": outputs["denoised"],
                    f"difference x{DIFFERENCE_GAIN}": difference(outputs["denoised"], batch.clean),
                }
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, encode_png(panel))
            self.panels.setdefault(batch.set_name, {})[batch.name] = panel

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write images.csv; loggers that show images and tables get those of a set together."""
        if isinstance(pl_module, Denoising) and trainer.is_global_zero:
            write_atomically(self.directory / "images.csv", pl_module.images.to_csv(index=False).encode())
            for logger in trainer.loggers:
                if hasattr(logger, "log_image"):
                    for name, panels in self.panels.items():
                        logger.log_image(f"test/{name}", list(panels.values()), caption=list(panels))
                if hasattr(logger, "log_table"):
                    logger.log_table("test/images", dataframe=pl_module.images)
