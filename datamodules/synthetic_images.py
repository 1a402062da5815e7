"""Dead-leaves images, drawn on demand: data for denoisers that needs no files."""

from typing import Any

from datamodules.batching.packed_images import PackedImages
from datamodules.dead_leaves import VERSION, draw_images
from datamodules.denoising import SSIM_WINDOW, DenoisingDataModule


class SyntheticImages(DenoisingDataModule):
    """Images that are drawn on demand.

    Args:
        train_images: number of training images, from which validation images are held out.
        test_images: number of test images.
        drawn_size: height and width of an image, in pixels.
        image_seed: seed of the images.
        **options: as in `DenoisingDataModule`.

    Raises:
        ValueError: an option has an invalid value.
    """

    def __init__(self, train_images: int, test_images: int, drawn_size: int, image_seed: int, **options: Any) -> None:
        super().__init__(**options)
        if drawn_size < SSIM_WINDOW:
            raise ValueError(
                f"datamodule.drawn_size={drawn_size}: choose {SSIM_WINDOW} or more, the window of the SSIM that images "
                "are evaluated with"
            )
        self.train_images = train_images
        self.test_images = test_images
        self.drawn_size = drawn_size
        self.image_seed = image_seed

    def fingerprint(self) -> dict[str, Any]:
        """Return the version of the drawing code; the configuration holds the rest."""
        return {"dataset": "synthetic_images", "version": VERSION}

    def read_train(self) -> tuple[PackedImages, None]:
        """Draw the training images."""
        return self._draw(self.train_images, "train"), None

    def read_test(self) -> dict[str, PackedImages]:
        """Draw the test images."""
        return {"dead_leaves": self._draw(self.test_images, "test")}

    def _draw(self, count: int, part: str) -> PackedImages:
        images = draw_images(count, self.drawn_size, self.image_seed, part, self.channels)
        return PackedImages.from_tensors(images, [f"{part}{position:04d}" for position in range(count)])
