"""What the file of a photo says besides its pixels, as the options with which Pillow writes it again."""

import struct
from typing import Any

from PIL import Image, JpegImagePlugin, PngImagePlugin

JPEG_QUALITY = WEBP_QUALITY = 95
EXIF_IFDS = (0x8769, 0x8825)  # the camera's settings, and the place
# Tags of TIFF that say how the pixels lie in the file: those are the writer's. The colour profile goes its own way.
LAYOUT = {254, 255, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 280, 281, 284, 292, 293, 297, 317, 320}
LAYOUT |= {322, 323, 324, 325, 330, 332, 336, 337, 338, 339, 340, 341, 347, 529, 530, 531, 532, 34675, *EXIF_IFDS}
LOSSLESS_TIFF = ("packbits", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "zstd")


def before_loading(image: Image.Image) -> dict[str, Any]:
    """Return the options with the metadata of an opened TIFF, whose orientation Pillow forgets as it loads the pixels.

    The other formats have none here.
    """
    if image.format != "TIFF":
        return {}
    found, kept = image.getexif(), Image.Exif()
    for tag, value in found.items():
        if tag not in LAYOUT:
            kept[tag] = value
    for tag in EXIF_IFDS:
        if values := found.get_ifd(tag):
            kept.get_ifd(tag).update(values)
            kept[tag] = kept.get_ifd(tag)  # without this it is not written
    return {"exif": kept}


def after_loading(image: Image.Image, same_colours: bool, same_mode: bool) -> tuple[dict[str, Any], str]:
    """Return the options for a file like that of a loaded image, and in words what they do to the pixels.

    Args:
        image: as Pillow opened and loaded it.
        same_colours: the new file's colours mean what the old one's did, so that the colour profile still fits.
        same_mode: the new file's pixels are of the old one's kind, so that it can be compressed in the same way.
    """
    names = ("exif", "xmp", "comment", "dpi") if image.format != "TIFF" else ()
    options: dict[str, Any] = {name: image.info[name] for name in names if name in image.info}
    if same_colours and image.info.get("icc_profile"):
        options["icc_profile"] = image.info["icc_profile"]
    words = ""
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        jpeg, words = _jpeg(image, same_mode)
        options |= jpeg
    elif isinstance(image, PngImagePlugin.PngImageFile):
        options["pnginfo"] = _png(image)
    elif image.format == "TIFF":
        options["compression"], words = _tiff(image)
    elif image.format == "WEBP":
        # `exact`: without it the colours below a transparent alpha are thrown away.
        options |= {"quality": WEBP_QUALITY, "exact": True}
        words = f"WebP of quality {WEBP_QUALITY}"
    return options, words


def _jpeg(image: JpegImagePlugin.JpegImageFile, same_mode: bool) -> tuple[dict[str, Any], str]:
    # Pillow knows no option for IPTC captions; they go as they are, each as a marker of its own.
    captions = [data for name, data in image.applist if name == "APP13"]
    options: dict[str, Any] = {
        "progressive": bool(image.info.get("progressive")),
        "extra": b"".join(struct.pack(">BBH", 0xFF, 0xED, len(data) + 2) + data for data in captions),
    }
    if not same_mode:
        return options | {"quality": JPEG_QUALITY, "subsampling": 0}, f"JPEG of quality {JPEG_QUALITY}"
    sampling = JpegImagePlugin.get_sampling(image)
    return options | {"qtables": image.quantization, "subsampling": sampling}, "JPEG with its own quantisation tables"


def _png(image: PngImagePlugin.PngImageFile) -> PngImagePlugin.PngInfo:
    chunks = PngImagePlugin.PngInfo()
    for key, text in image.text.items():
        chunks.add_text(key, text)
    # What the numbers mean as light, where no profile says so.
    if "gamma" in image.info:
        chunks.add(b"gAMA", struct.pack(">I", round(image.info["gamma"] * 100_000)))
    if "chromaticity" in image.info:
        chunks.add(b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in image.info["chromaticity"])))
    if "srgb" in image.info:
        chunks.add(b"sRGB", bytes([image.info["srgb"]]))
    return chunks


def _tiff(image: Image.Image) -> tuple[str | None, str]:
    compression = image.info.get("compression")
    if compression in (None, "raw"):
        return None, ""
    if any(image.getexif().get_ifd(tag) for tag in EXIF_IFDS):
        return None, "TIFF without compression, as Pillow writes no camera data beside one"
    if compression in LOSSLESS_TIFF:
        return compression, ""
    return "tiff_lzw", f"TIFF compressed without loss (LZW) in place of {compression}"
