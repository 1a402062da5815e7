"""Dead-leaves images, drawn when asked for: what a denoiser can be tried on without any file."""

from typing import Any

from datamodules.batching.packed_images import PackedImages
from datamodules.dead_leaves import VERSION, draw_images
from datamodules.denoising import SSIM_WINDOW, DenoisingDataModule


class SyntheticImages(DenoisingDataModule):
    """Draw the images when they are asked for.

    Args:
        train_images: how many to draw to train with; held-out images are taken from them.
        test_images: how many to draw to test with.
        drawn_size: height and width of an image, in pixels.
        image_seed: which images.
        **options: as in `DenoisingDataModule`.

    Raises:
        ValueError: an option has a value that makes no sense.
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
        """Return the version of the drawing; the configuration has the rest."""
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
