"""Metadata and compression of a photo file, as options for saving it with Pillow."""

import struct
from typing import Any

from PIL import Image, JpegImagePlugin, PngImagePlugin

JPEG_QUALITY = WEBP_QUALITY = 95
EXIF_IFDS = (0x8769, 0x8825)  # camera settings, and GPS position
# TIFF tags for the layout of the pixels, which the writer sets. The colour profile is passed separately.
LAYOUT = {254, 255, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 280, 281, 284, 292, 293, 297, 317, 320}
LAYOUT |= {322, 323, 324, 325, 330, 332, 336, 337, 338, 339, 340, 341, 347, 529, 530, 531, 532, 34675, *EXIF_IFDS}
LOSSLESS_TIFF = ("packbits", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "zstd")


def before_loading(image: Image.Image) -> dict[str, Any]:
    """Return save options with the metadata of an opened TIFF, whose orientation Pillow drops when it loads the pixels.

    Other formats have no such options.
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
            kept[tag] = kept.get_ifd(tag)  # without this, Pillow does not write it
    return {"exif": kept}


def after_loading(image: Image.Image, same_colours: bool, same_mode: bool) -> tuple[dict[str, Any], str]:
    """Return save options for a file like that of a loaded image, and their effect on the pixels in words.

    Args:
        image: opened and loaded by Pillow.
        same_colours: whether colour values keep their meaning, so that the colour profile still applies.
        same_mode: whether the pixel format stays the same, so that the same compression can be used.
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
        # Without `exact`, the colours of transparent pixels are discarded.
        options |= {"quality": WEBP_QUALITY, "exact": True}
        words = f"WebP of quality {WEBP_QUALITY}"
    return options, words


def _jpeg(image: JpegImagePlugin.JpegImageFile, same_mode: bool) -> tuple[dict[str, Any], str]:
    # Pillow has no option for IPTC captions; they are copied, each as its own marker.
    captions = [data for name, data in image.applist if name == "APP13"]
    options: dict[str, Any] = {
        "progressive": bool(image.info.get("progressive")),
        "extra": b"".join(struct.pack(">BBH", 0xFF, 0xED, len(data) + 2) + data for data in captions),
    }
    if not same_mode:
        return options | {"quality": JPEG_QUALITY, "subsampling": 0}, f"JPEG of quality {JPEG_QUALITY}"
    sampling = JpegImagePlugin.get_sampling(image)
    return options | {"qtables": image.quantization, "subsampling": sampling}, "JPEG with the compression of the photo"


def _png(image: PngImagePlugin.PngImageFile) -> PngImagePlugin.PngInfo:
    chunks = PngImagePlugin.PngInfo()
    for key, text in image.text.items():
        chunks.add_text(key, text)
    # The transfer function, if there is no colour profile.
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
        return None, "TIFF without compression, as Pillow writes no camera data into a compressed one"
    if compression in LOSSLESS_TIFF:
        return compression, ""
    return "tiff_lzw", f"TIFF compressed without loss (LZW) in place of {compression}"
