"""Image files as 8-bit grey or RGB, whatever they were."""

from pathlib import Path

import numpy as np
from PIL import Image

from datamodules.files.names import printable


def open_image(path: Path | str, channels: int) -> tuple[Image.Image, bool]:
    """Open an image file and bring it to 8 bits a channel.

    Pillow converts to colour or grey (ITU-R 601 luma): a palette is looked up, an alpha channel is dropped and not
    blended with anything, grey is repeated for colour. 16 bits of grey become 8 by scaling and rounding; of 16-bit
    colour, and of 16-bit grey with alpha, Pillow reads the higher byte. Of several pages the first is read. A camera's
    EXIF orientation is not applied.

    Args:
        path: the file.
        channels: 3 for colour, 1 for grey.

    Returns:
        The image, and whether colour was made of grey or the reverse.

    Raises:
        ValueError: the file is no image or a broken one, in one sentence with its path.
    """
    mode = "L" if channels == 1 else "RGB"
    try:
        with Image.open(path) as opened:
            image = _eight_bits(opened)
            is_grey = image.mode in ("1", "L", "LA", "La")
            return image.convert(mode), is_grey == (mode == "RGB")
    except Exception as error:  # Pillow's decoders raise many types on broken files
        raise ValueError(
            f"{printable(path)} cannot be read as an image ({printable(error)}); repair or remove it"
        ) from error


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return an image that Pillow converts to grey or RGB without clipping."""
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers, of unknown range")
    if image.mode.startswith("I"):  # convert("L") would clip 16 bits at 255
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("its pixels have more than 16 bits, of unknown range")
        return Image.fromarray(((values + 128) // 257).astype(np.uint8))
    # Pillow warns when a palette with transparency goes straight to RGB.
    return image.convert("RGBA") if image.mode == "P" else image
