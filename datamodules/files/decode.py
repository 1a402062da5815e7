"""Decode image files of any kind to 8-bit grey or RGB."""

from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from datamodules.files.names import printable

# Pillow refuses huge images as possible decompression bombs; here they are the user's own files.
Image.MAX_IMAGE_PIXELS = None
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def open_image(path: Path | str, channels: int) -> tuple[Image.Image, bool]:
    """Open an image file and convert it to 8 bits per channel.

    Pillow converts to colour or grey (ITU-R 601 luma): palettes are looked up, an alpha channel is dropped without
    blending, grey is repeated for colour. 16-bit grey is scaled and rounded to 8 bits; of 16-bit colour, and of 16-bit
    grey with alpha, Pillow reads the higher byte. The EXIF orientation is applied, so that images are upright. Further
    images that a phone stores with a photograph (MPO) are ignored.

    Args:
        path: the file.
        channels: 3 for colour, 1 for grey.

    Returns:
        The image, and whether it was converted between grey and colour.

    Raises:
        ValueError: the file is not an image, broken, too large, or holds several images; in one sentence with its path.
    """
    mode = "L" if channels == 1 else "RGB"
    try:
        with Image.open(path) as opened:
            # Without a filename Pillow does not map the file: it would read a mapped TIFF at its rotated size.
            opened.filename = ""
            if opened.format != "MPO" and (several := getattr(opened, "n_frames", 1)) > 1:
                raise SeveralImages(several)
            image = _eight_bits(_upright(opened))
            is_grey = image.mode in ("1", "L", "LA", "La")
            return image.convert(mode), is_grey == (mode == "RGB")
    except SeveralImages as error:
        raise ValueError(f"{printable(path)} {error}; save the one you want as a file of its own") from error
    except MemoryError as error:
        raise ValueError(f"{printable(path)} does not fit into memory; make it smaller or remove it") from error
    except Exception as error:  # Pillow's decoders raise many types on broken files
        raise ValueError(
            f"{printable(path)} cannot be read as an image ({printable(error)}); repair or remove it"
        ) from error


class SeveralImages(Exception):
    """A file holds more than one image."""

    def __init__(self, count: int) -> None:
        super().__init__(f"holds {count} frames or pages")


def _upright(image: Image.Image) -> Image.Image:
    """Load an image and apply its EXIF orientation."""
    image.load()  # rotates a TIFF and drops its orientation tag
    orientation = 1
    with suppress(Exception):  # Pillow raises many types on broken metadata; the pixels may still be intact
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    turn = TURNS.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return an image of a mode that Pillow converts to grey or RGB without clipping."""
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers, of unknown range")
    if image.mode.startswith("I"):  # convert("L") would clip 16 bits at 255
        values = np.asarray(image).astype(np.int32)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("its pixels have more than 16 bits, of unknown range")
        return Image.fromarray(((values + 128) // 257).astype(np.uint8))
    # Pillow warns when a palette with transparency goes straight to RGB.
    return image.convert("RGBA") if image.mode == "P" else image
