"""Panels: images side by side at their exact pixels, with titles."""

from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:  # the page splits panels without PyTorch
    from torch import Tensor

DIFFERENCE_GAIN = 5  # of a difference; grey means no difference
GAP = 4  # pixels


def make_panel(images: Mapping[str, "Tensor"], errors_below: bool = False, scale: int = 1) -> Image.Image:
    """Arrange images (1, C, H, W) of one size in a row.

    Args:
        images: by title, with the clean image first; titles that are too wide are broken into two lines.
        errors_below: add a second row with the difference of each image to the first.
        scale: integer factor by which the images are enlarged.
    """
    rows = [list(images.values())]
    clean = rows[0][0]
    if errors_below:
        rows.append([difference(image, clean) for image in rows[0]])
    height, width = (length * scale for length in clean.shape[-2:])
    size, head = _title_size(width)
    font = ImageFont.load_default(size)
    panel = Image.new("RGB", (len(images) * (width + GAP) - GAP, head + len(rows) * (height + GAP) - GAP), "white")
    draw = ImageDraw.Draw(panel)
    for column, title in enumerate(images):
        left = column * (width + GAP)
        text = title if draw.textlength(title, font) <= width else _broken(title)
        draw.multiline_text((left + 1, head - 3), text, "black", font, anchor="ld", spacing=2)
        for row, images_of_row in enumerate(rows):
            tile = Image.fromarray(_pixels(images_of_row[column])).resize((width, height), Image.Resampling.NEAREST)
            panel.paste(tile, (left, head + row * (height + GAP)))
    return panel


def split_panel(panel: Image.Image, count: int) -> list[Image.Image]:
    """Cut the images out of a one-row panel made by `make_panel`.

    Args:
        panel: of any scale.
        count: number of images in it.

    Raises:
        ValueError: no such panel has this size.
    """
    width, rest = divmod(panel.width + GAP, count)
    width -= GAP
    head = _title_size(width)[1]
    if rest or width < 1 or panel.height <= head:
        raise ValueError(f"no panel of {count} images is of {panel.width}x{panel.height} pixels")
    lefts = [column * (width + GAP) for column in range(count)]
    return [panel.crop((left, head, left + width, panel.height)) for left in lefts]


def difference(image: "Tensor", clean: "Tensor") -> "Tensor":
    """Return the remaining error of an image, amplified, around middle grey."""
    return 0.5 + DIFFERENCE_GAIN * (image - clean)


def encode_png(image: Image.Image) -> bytes:
    """Return the bytes of a PNG file."""
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _title_size(width: int) -> tuple[int, int]:
    """Return the font size of titles, and the height of two lines, in pixels, for images of a width."""
    size = max(9, min(18, width // 12))
    return size, int(2.8 * size)


def _broken(title: str) -> str:
    """Put the last two words of a title, a PSNR and its unit, on a second line."""
    words = title.split(" ")
    return f"{' '.join(words[:-2])}\n{' '.join(words[-2:])}"


def _pixels(image: "Tensor") -> NDArray[np.uint8]:
    pixels = (image[0].float().clamp(0, 1) * 255).round().byte().cpu().permute(1, 2, 0).numpy()
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
