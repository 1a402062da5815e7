"""Crops of denoised test images, for a slider through noisy, each group of runs, and clean."""

import math
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from wconv.experiment.reports.page.content import Line, Part, Row, Table, plain
from wconv.experiment.reports.panels import encode_png, split_panel
from wconv.experiment.runs.saved_runs import SavedRun

IMAGES = 4  # test images shown at most
SIDE = 128  # pixels of a crop, from the centre of the image
PANEL = ("clean", "noisy", "denoised", "difference")  # the images in a panel of a run, in order


@dataclass(frozen=True)
class View:
    """One stop of a slider.

    Attributes:
        name: noisy, clean, or the group of runs.
        psnr: of the crop, as text; empty for the clean one.
        picture: as a data URI.
    """

    name: str
    psnr: str
    picture: str


@dataclass
class Crop:
    """A test image in all versions; images are matched by clean and noisy pixels, not by name.

    Attributes:
        name: of the panel file.
        clean: a crop.
        noisy: the same crop.
        denoised: the same crop by each group of runs, its first seed.
    """

    name: str
    clean: Image.Image
    noisy: Image.Image
    denoised: list[tuple[Line, Image.Image]] = field(default_factory=list)

    @property
    def views(self) -> list[View]:
        """The stops of the slider."""
        between = [_view(line.title, image, self.clean) for line, image in self.denoised]
        return [_view("noisy", self.noisy, self.clean), *between, View("clean", "", data_uri(self.clean))]

    @property
    def table(self) -> Table:
        """The PSNR of each version."""
        rows = [Row(["noisy", f"{psnr(self.noisy, self.clean):.2f}"])]
        rows += [line.row(line.title, f"{psnr(image, self.clean):.2f}") for line, image in self.denoised]
        return Table(f"{self.name}: PSNR of the crop as it is shown", ["version", "PSNR (dB)"], rows, ["version"])


def crops(part: Part) -> list[Crop]:
    """Return the images for which the most groups have a panel, with the panel of one seed per group."""
    found: dict[bytes, Crop] = {}
    for line in part.lines:
        taken = set()
        for run in line.group.counted.values():
            for name, clean, noisy, denoised in _panels(run):
                key = clean.tobytes() + noisy.tobytes()
                crop = found.setdefault(key, Crop(plain(name), clean, noisy))
                if key not in taken:
                    crop.denoised.append((line, denoised))
                    taken.add(key)
            if taken:
                break
    return sorted(found.values(), key=lambda crop: -len(crop.denoised))[:IMAGES]


def _panels(run: SavedRun) -> Iterator[tuple[str, Image.Image, Image.Image, Image.Image]]:
    """Yield the name and the clean, noisy and denoised crop of each panel in the folder of a run."""
    for path in sorted((run.folder / "images").glob("*-*.png")):
        try:
            with Image.open(path) as image:
                clean, noisy, denoised, _ = map(_cropped, split_panel(image.convert("RGB"), len(PANEL)))
        except (OSError, ValueError, Image.DecompressionBombError):
            continue  # damaged, or an unrelated image
        yield path.stem, clean, noisy, denoised


def _cropped(image: Image.Image) -> Image.Image:
    width, height = (min(SIDE, length) for length in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def _view(name: str, image: Image.Image, clean: Image.Image) -> View:
    return View(name, f"{psnr(image, clean):.2f} dB", data_uri(image))


def psnr(image: Image.Image, clean: Image.Image) -> float:
    """Return the PSNR of 8-bit pixels in dB; infinite if they are equal."""
    error = float(np.mean((np.asarray(image, float) - np.asarray(clean, float)) ** 2))
    return 10 * math.log10(255**2 / error) if error else math.inf


def data_uri(image: Image.Image) -> str:
    """Return an image as a data URI for the page; grey images as grey."""
    pixels = np.asarray(image)
    is_grey = pixels.ndim == 3 and bool((pixels == pixels[..., :1]).all())
    return f"data:image/png;base64,{b64encode(encode_png(image.convert('L') if is_grey else image)).decode()}"
