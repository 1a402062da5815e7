"""A photo that is read and written again is the one that it was, in pixels, kind and metadata."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, JpegImagePlugin, PngImagePlugin, TiffImagePlugin

from wconv.experiment.inference.photo import PhotoError, read_photo, write_photo
from wconv.experiment.inference.photo_metadata import after_loading

ORIENTATION, ARTIST, EXIF, ISO = 274, 315, 0x8769, 34855
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
DRAWN = np.random.default_rng(0)


def image(mode: str, width: int = 12, height: int = 7) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(DRAWN.integers(0, 65536, (height, width), dtype=np.uint16))
    bands = len(Image.new(mode, (1, 1)).getbands())
    values = DRAWN.integers(0, 256, (height, width, bands), dtype=np.uint8)
    return Image.frombytes(mode, (width, height), values.tobytes())


def exif(orientation: int = 6) -> Image.Exif:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    tags[ARTIST] = "Me"
    tags.get_ifd(EXIF)[ISO] = 400
    tags[EXIF] = tags.get_ifd(EXIF)  # Pillow writes it into a TIFF only so
    return tags


def again(path: Path) -> Image.Image:
    """Read and write a photo, and return the new one, loaded."""
    new = path.with_name(f"new-{path.name}")
    write_photo(read_photo(path), new)
    with Image.open(new) as opened:
        opened.load()
    return opened


@pytest.mark.parametrize(
    ("mode", "name"),
    [(mode, f"a.{end}") for end in ("png", "tif") for mode in ("L", "LA", "RGB", "RGBA", "I;16")]
    + [("L", "a.bmp"), ("RGB", "a.bmp"), ("L", "a.pgm"), ("RGB", "a.ppm")],
)
def test_pixels_mode_and_format_stay(tmp_path, mode, name):
    old = image(mode)
    old.save(tmp_path / name)
    new = again(tmp_path / name)
    assert (new.mode, new.size) == (old.mode, old.size)
    assert new.format == Image.registered_extensions()[Path(name).suffix]
    assert np.array_equal(np.asarray(new), np.asarray(old))
    assert read_photo(tmp_path / name).remarks == []


def test_16_bit_grey_is_read_in_full(tmp_path):
    for name in ("a.png", "a.pgm", "a.tif"):
        image("I;16").save(tmp_path / name)
        photo = read_photo(tmp_path / name)
        assert photo.pixels.dtype == np.uint16
        assert photo.pixels.max() > 60_000
    write_photo(photo, tmp_path / "b.tif")
    assert np.array_equal(read_photo(tmp_path / "b.tif").pixels, photo.pixels)


def with_transparency(mode: str, colour: object) -> Image.Image:
    drawn = image(mode)
    drawn.info["transparency"] = colour
    return drawn


@pytest.mark.parametrize(
    ("old", "name", "mode", "remark"),
    [
        (image("RGB").quantize(8), "a.png", "RGB", "the palette became RGB"),
        (image("RGBA").quantize(8), "a.png", "RGBA", "the palette became RGBA"),
        (image("L").convert("1"), "a.png", "L", "1 bit became grey"),
        (image("L").convert("1"), "a.tif", "L", "1 bit became grey"),
        (image("CMYK"), "a.tif", "RGB", "CMYK became RGB"),
        (image("CMYK"), "a.jpg", "RGB", "CMYK became RGB"),
        (image("YCbCr"), "a.tif", "RGB", "YCbCr became RGB"),
        (with_transparency("L", 7), "a.png", "LA", "alpha channel"),
        (with_transparency("RGB", (1, 2, 3)), "a.png", "RGBA", "alpha channel"),
    ],
)
def test_what_is_converted_is_said(tmp_path, old, name, mode, remark):
    options = {"transparency": old.info["transparency"]} if "transparency" in old.info else {}
    old.save(tmp_path / name, **options)
    new = again(tmp_path / name)
    assert new.mode == mode
    assert remark in read_photo(tmp_path / name).remarks[0]
    if name != "a.jpg":
        assert np.array_equal(np.asarray(new), np.asarray(Image.open(tmp_path / name).convert(mode)))


def test_16_bit_colour_says_that_it_loses_half_its_bits(tmp_path):
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0" + bytes([10, 0, 20, 0, 30, 0])))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b""))
    (tmp_path / "a.ppm").write_bytes(b"P6\n1 1\n65535\n" + bytes(6))
    assert read_photo(tmp_path / "a.png").pixels.ravel().tolist() == [10, 20, 30]
    for name in ("a.png", "a.ppm"):
        assert read_photo(tmp_path / name).remarks == ["16 bits a colour became 8, as Pillow reads no more"]


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
def test_metadata_stay_and_the_photo_is_not_turned(tmp_path, name):
    image("RGB", 12, 7).save(tmp_path / name, exif=exif(), icc_profile=PROFILE, dpi=(300, 300))
    write_photo(read_photo(tmp_path / name), tmp_path / f"new-{name}")
    with Image.open(tmp_path / f"new-{name}") as new, Image.open(tmp_path / name) as old:
        assert new.getexif()[ORIENTATION] == 6
        assert new.getexif()[ARTIST] == "Me"
        assert new.getexif().get_ifd(EXIF)[ISO] == 400
        assert new.info["icc_profile"] == PROFILE
        assert new.info.get("dpi") == old.info.get("dpi")
        assert new.size == old.size


XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="{}"/></rdf:RDF></x:xmpmeta>"""


@pytest.mark.parametrize("said", ["exif", "xmp"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.tif", {}),
        ("a.tif", {"compression": "tiff_lzw"}),
        ("a.webp", {"lossless": True}),
        ("a.jpg", {"quality": 100, "subsampling": 0}),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_photo_lies_in_its_file_as_it_did(tmp_path, name, options, orientation, said):
    """Pixels are cleaned as they are stored, and the tag stays: a viewer turns both files alike."""
    old, path = Image.fromarray(np.repeat(np.repeat(np.asarray(image("RGB", 3, 2)), 8, 0), 8, 1)), tmp_path / name
    xmp = XMP.format(orientation)
    if said == "exif":
        tags = Image.Exif()  # without a camera's data, beside which Pillow compresses no TIFF
        tags[ORIENTATION] = orientation
        options = options | {"exif": tags}
    elif name == "a.png":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt("XML:com.adobe.xmp", xmp)
        options = options | {"pnginfo": chunks}
    elif name == "a.tif":
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[700] = xmp.encode()
        tags.tagtype[700] = 1
        options = options | {"tiffinfo": tags}
    else:
        options = options | {"xmp": xmp.encode()}
    old.save(path, **options)
    photo = read_photo(path)
    exact = name != "a.jpg"
    assert np.abs(np.moveaxis(photo.pixels, 0, -1).astype(int) - np.asarray(old)).max() <= (0 if exact else 4)
    write_photo(photo, tmp_path / f"new-{name}")
    with Image.open(tmp_path / f"new-{name}") as new:
        assert new.getexif().get(ORIENTATION, 1) == orientation
        assert read_photo(tmp_path / f"new-{name}").pixels.shape == photo.pixels.shape


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "I;16"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_of_every_mode_lies_in_its_file_as_it_did(tmp_path, mode, orientation):
    """Pillow itself mixes up the pixels of those that it maps into memory."""
    old = image(mode)
    old.save(tmp_path / "a.tif", exif=exif(orientation))
    photo = read_photo(tmp_path / "a.tif")
    bands = [*photo.pixels] + ([] if photo.alpha is None else [photo.alpha])
    assert np.array_equal(np.stack(bands, axis=-1).squeeze(), np.asarray(old))
    write_photo(photo, tmp_path / "b.tif")
    again = read_photo(tmp_path / "b.tif")
    assert np.array_equal(again.pixels, photo.pixels)


def test_a_large_photo_is_no_attack(tmp_path):
    Image.new("1", (13500, 13500), 1).save(tmp_path / "a.png")  # 182 million pixels
    assert read_photo(tmp_path / "a.png").pixels.shape == (1, 13500, 13500)


def test_texts_and_gamma_of_png(tmp_path):
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("Title", "Sea")
    chunks.add_itxt("Ort", "Küste", "de", "Place")
    chunks.add(b"gAMA", struct.pack(">I", 45455))
    image("L").save(tmp_path / "a.png", pnginfo=chunks)
    new = again(tmp_path / "a.png")
    assert (new.text["Title"], new.text["Ort"], new.text["Ort"].lang) == ("Sea", "Küste", "de")
    assert new.info["gamma"] == 0.45455


@pytest.mark.parametrize(("mode", "sampling"), [("RGB", 0), ("RGB", 2), ("L", -1)])
def test_jpeg_keeps_its_quantisation_sampling_comment_and_caption(tmp_path, mode, sampling):
    caption = b"\xff\xed" + struct.pack(">H", 9) + b"caption"
    options = {"quality": 63, "subsampling": sampling, "comment": "sea", "extra": caption, "progressive": True}
    image(mode, 64, 64).save(tmp_path / "a.jpg", **options)
    new, old = again(tmp_path / "a.jpg"), Image.open(tmp_path / "a.jpg")
    assert new.quantization == old.quantization
    assert JpegImagePlugin.get_sampling(new) == sampling
    assert new.info["comment"] == b"sea"
    assert ("APP13", b"caption") in new.applist
    assert new.info["progressive"]
    assert read_photo(tmp_path / "a.jpg").remarks == ["JPEG with the compression of the photo"]


def test_a_profile_of_inks_does_not_stay_where_there_are_none(tmp_path):
    image("CMYK").save(tmp_path / "a.jpg", icc_profile=PROFILE)
    assert "icc_profile" not in again(tmp_path / "a.jpg").info
    assert read_photo(tmp_path / "a.jpg").remarks == [
        "CMYK became RGB, without its colour profile",
        "JPEG of quality 95",
    ]


def test_compression_of_tiff(tmp_path):
    image("RGB").save(tmp_path / "a.tif", compression="tiff_adobe_deflate")
    assert again(tmp_path / "a.tif").info["compression"] == "tiff_adobe_deflate"
    image("L").convert("1").save(tmp_path / "b.tif", compression="group4")
    assert again(tmp_path / "b.tif").info["compression"] == "tiff_lzw"
    assert "in place of group4" in read_photo(tmp_path / "b.tif").remarks[-1]


def test_a_compressed_tiff_with_camera_data_is_written_without_compression(tmp_path):
    image("RGB").save(tmp_path / "a.tif", exif=exif())
    with Image.open(tmp_path / "a.tif") as opened:
        opened.load()
        opened.info["compression"] = "tiff_lzw"  # as other programs write it; Pillow cannot
        options, words = after_loading(opened, same_colours=True, same_mode=True)
    assert options["compression"] is None
    assert "without compression" in words


def test_the_alpha_of_webp_and_what_lies_under_it(tmp_path):
    old = image("RGBA", 32, 32)
    old.save(tmp_path / "a.webp", lossless=True, exact=True)
    new = again(tmp_path / "a.webp")
    assert np.array_equal(np.asarray(new)[..., 3], np.asarray(old)[..., 3])
    assert read_photo(tmp_path / "a.webp").remarks == ["WebP of quality 95"]


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
def test_several_pictures_in_a_file_are_refused(tmp_path, name):
    image("RGB").save(tmp_path / name, save_all=True, append_images=[image("RGB"), image("RGB")])
    with pytest.raises(PhotoError, match=f"{name} holds 3 frames or pages; save the one"):
        read_photo(tmp_path / name)


def test_of_a_phones_file_the_photograph_is_taken(tmp_path):
    first, second = image("RGB", 16, 16), image("RGB", 8, 8)
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[second])
    assert again(tmp_path / "a.jpg").format == "JPEG"
    assert "of the 2 images in the file only the first" in read_photo(tmp_path / "a.jpg").remarks


def test_other_files_are_refused_in_a_sentence(tmp_path):
    image("RGB").save(tmp_path / "a.gif")
    with pytest.raises(PhotoError, match=r"a.gif is of the format GIF, .* save it as PNG first"):
        read_photo(tmp_path / "a.gif")
    Image.fromarray(np.ones((2, 2), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(PhotoError, match=r"a.tif has pixels of 32 bits"):
        read_photo(tmp_path / "a.tif")
    (tmp_path / "a.txt").write_text("no picture")
    with pytest.raises(PhotoError, match=r"a.txt cannot be read as a picture \(.*\); repair or remove it"):
        read_photo(tmp_path / "a.txt")


def test_a_cut_file_is_refused(tmp_path):
    image("RGB", 64, 64).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:2000])
    with pytest.raises(PhotoError, match=r"a.png cannot be read"):
        read_photo(tmp_path / "a.png")


def test_a_picture_that_cannot_be_written_leaves_nothing(tmp_path):
    image("L").save(tmp_path / "a.png")
    (tmp_path / "file").write_text("")
    with pytest.raises(PhotoError, match=r"b.png cannot be written \(File exists\); make room"):
        write_photo(read_photo(tmp_path / "a.png"), tmp_path / "file" / "b.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "file"]
