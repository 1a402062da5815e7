"""Read a user's photo as an array, and write an array to a file with the same format and metadata."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from wconv.experiment.common.files import write_atomically
from wconv.experiment.common.text import one_line
from wconv.experiment.inference.photo_metadata import after_loading, before_loading

# Pillow refuses huge images as possible decompression bombs; here they are the user's own files.
Image.MAX_IMAGE_PIXELS = None
FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "PPM")
EXTENSIONS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".pgm", ".ppm", ".pnm", ".pbm")
ORIENTATION = 274
OTHER_COLOURS = ("CMYK", "YCbCr", "LAB", "HSV")
# Pillow applies the orientation of a TIFF as it loads; this reverts it, so that the tag can be kept.
TURN_BACK = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


class PhotoError(ValueError):
    """A photo cannot be read or written; the message is one sentence for the user."""


@dataclass
class Photo:
    """A photo.

    Attributes:
        pixels: grey or colour, (C, H, W) with C of 1 or 3, as uint8 or uint16.
        alpha: (H, W) as uint8, or None; written back unchanged.
        format: Pillow's name of the file format.
        options: for saving with Pillow; they include the metadata.
        remarks: how the new file differs from the old one, in words.
    """

    pixels: NDArray[Any]
    alpha: NDArray[Any] | None
    format: str
    options: dict[str, Any]
    remarks: list[str]


def read_photo(path: Path) -> Photo:
    """Read a photo as 16-bit grey, or as 8-bit grey or colour with or without alpha; other modes are converted.

    Raises:
        PhotoError: it cannot be read, or its format cannot be written.
    """
    try:
        with Image.open(path) as image:
            # Without a filename Pillow does not map the file: it would read a mapped TIFF at its rotated size.
            image.filename = ""
            return _read(image)
    except PhotoError as error:
        raise PhotoError(f"{path} {error}") from error
    except MemoryError as error:
        raise PhotoError(f"{path} does not fit into memory; make it smaller or clean it on another machine") from error
    except Exception as error:  # Pillow's decoders raise many types on broken files
        raise PhotoError(f"{path} cannot be read as a picture ({one_line(error)}); repair or remove it") from error


def write_photo(photo: Photo, path: Path) -> None:
    """Write a photo atomically, and make its folder.

    Raises:
        PhotoError: it cannot be written; the message says why.
    """
    bands = [*photo.pixels] + ([] if photo.alpha is None else [photo.alpha])
    image = Image.fromarray(bands[0] if len(bands) == 1 else np.stack(bands, axis=-1))
    file = io.BytesIO()
    try:
        image.save(file, photo.format, **photo.options)
    except Exception as error:  # Pillow may not be able to write metadata that it has read
        raise PhotoError(
            f"{path} cannot be written as {photo.format} ({one_line(error)}); save the original as PNG and clean that"
        ) from error
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, file.getvalue())
    except OSError as error:
        raise PhotoError(f"{path} cannot be written ({error.strerror}); make room or choose another place") from error


def _read(image: Image.Image) -> Photo:
    several = getattr(image, "n_frames", 1)
    remarks = []
    if image.format == "MPO":  # phones store a photograph with its preview or depth map
        remarks.append(f"of the {several} images in the file only the first")
    elif image.format not in FORMATS:
        raise PhotoError(f"is of the format {image.format}, which is not written here; save it as PNG first")
    elif several > 1:
        raise PhotoError(f"holds {several} frames or pages; save the one you want as a file of its own")
    sixteen_bits = _sixteen_bits_a_colour(image)
    turn_back = TURN_BACK.get(image.getexif().get(ORIENTATION, 1)) if image.format == "TIFF" else None
    options = before_loading(image)
    image.load()
    plain, remark = _plain(image)
    if sixteen_bits:
        remark = "16 bits a colour became 8, as Pillow reads no more" + (f", {remark}" if remark else "")
    same_colours = image.mode not in OTHER_COLOURS
    more, words = after_loading(image, same_colours, plain.mode == image.mode)
    if not same_colours and image.info.get("icc_profile"):
        remark += ", without its colour profile"
    if turn_back is not None:
        plain = plain.transpose(turn_back)
    values = _values(plain)
    alpha = values[-1] if plain.mode in ("LA", "RGBA") else None
    return Photo(
        pixels=values if alpha is None else values[:-1],
        alpha=alpha,
        format="JPEG" if image.format == "MPO" else str(image.format),
        options=options | more,
        remarks=[text for text in (*remarks, remark, words) if text],
    )


def _plain(image: Image.Image) -> tuple[Image.Image, str]:
    """Convert the image to a mode that can be denoised, and return it with a remark on what changed."""
    clear = "transparency" in image.info
    if image.mode == "F" or (image.mode == "I" and image.format == "TIFF"):
        raise PhotoError("has pixels of 32 bits, of unknown range; save it with 8 or 16 bits first")
    if image.mode.startswith("I"):
        return image, "without its transparent tone" if clear else ""
    if image.mode in ("P", "PA"):
        mode = "RGBA" if clear or image.mode == "PA" else "RGB"
        return image.convert(mode), f"the palette became {mode}"
    if image.mode == "1":
        grey = image.convert("L")
        return (grey.convert("LA"), "1 bit became grey with alpha") if clear else (grey, "1 bit became grey")
    if image.mode in ("L", "RGB"):
        return (
            (image.convert(f"{image.mode}A"), "the transparent colour became an alpha channel")
            if clear
            else (image, "")
        )
    if image.mode in ("LA", "RGBA"):
        return image, ""
    if image.mode in ("La", "RGBa"):
        return image.convert(image.mode.upper()), "premultiplied alpha became plain"
    return image.convert("RGB"), f"{image.mode} became RGB"


def _values(image: Image.Image) -> NDArray[Any]:
    """Return the bands, (C, H, W)."""
    values = np.asarray(image)
    if image.mode.startswith("I"):  # 16 bits, which Pillow stores in 32 for some formats
        values = values.astype(np.uint16)
    return values[None] if values.ndim == 2 else np.moveaxis(values, -1, 0)


def _sixteen_bits_a_colour(image: Image.Image) -> bool:
    """Tell whether Pillow is about to drop half the bits: its only 16-bit modes are grey without alpha."""
    if image.mode.startswith("I") or not isinstance(image, ImageFile.ImageFile) or not image.tile:
        return False
    how = image.tile[0][3]  # argument of the decoder, such as "RGB;16B"; for PPM, the largest value
    words = how if isinstance(how, tuple) else (how,)
    return any(";16" in str(word) or (image.format == "PPM" and str(word) == "65535") for word in words)
