"""images.csv and the panels of test images."""

import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader

from datamodules.batching.patches import EvaluationImage
from wconv.experiment.tasks.denoising import Denoising
from wconv.experiment.tasks.noise import GaussianNoise
from wconv.experiment.training.image_results import ImageResults, panel_names


def frames(
    count: int, set_name: str = "set", name: str = "{}.png", size: tuple[int, int, int] = (3, 16, 20)
) -> list[EvaluationImage]:
    generator = torch.Generator().manual_seed(0)
    return [
        EvaluationImage(torch.rand(1, *size, generator=generator), set_name, position, name.format(position))
        for position in range(count)
    ]


@pytest.fixture
def written(tmp_path):
    """Run the test loop over some frames, with a denoiser that returns what it gets."""

    def call(given: list[EvaluationImage], loggers: object = None, model: nn.Module | None = None) -> list[str]:
        task = Denoising(model or nn.Identity(), None, None, 0, 25, False, "l2", test_seed=0, max_pixels=10**6)
        trainer = pl.Trainer(
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            callbacks=[ImageResults(tmp_path)],
        )
        if loggers:
            trainer.loggers = loggers
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer.test(task, DataLoader(given, batch_size=None), verbose=False)
        return sorted(path.name for path in (tmp_path / "images").iterdir())

    return call


@pytest.mark.parametrize(("count", "drawn"), [(1, [0]), (3, [0, 1, 2]), (8, range(8)), (29, range(0, 29, 4))])
def test_eight_at_most_are_drawn_from_the_first_to_the_last(written, count, drawn):
    assert written(frames(count)) == sorted(f"set-{position}.png" for position in drawn)


def test_images_of_the_same_name_in_several_folders_have_pictures_of_their_own(written):
    given = frames(2, "one", "deep/{}.png") + frames(2, "two", "{}.v1.jpg")
    assert written(given) == ["one-deep-0.png", "one-deep-1.png", "two-0.v1.png", "two-1.v1.png"]


def test_no_panel_is_written_over_another(written):
    names = ["x.png", "x.tif", "X.png", "a/b.png", "a-b.png", "x-2.png"]
    given = [image._replace(name=name) for image, name in zip(frames(6), names, strict=True)]
    assert written(given) == [
        "set-X-3.png",
        "set-a-b-2.png",
        "set-a-b.png",
        "set-x-2-2.png",
        "set-x-2.png",
        "set-x.png",
    ]


def test_panels_of_sets_whose_names_run_together():
    assert panel_names([("a", "b-c.png"), ("a-b", "c.png"), ("a", "b/c.png")]) == ["a-b-c", "a-b-c-2", "a-b-c-3"]


ODD = ["caf\udce9.png", "line\nbreak.png", "\x1b[31mred.png", f"{'deep/' * 100}x.png", "\udce9" * 120 + ".png"]
ODD += [f"{'é' * 120}.png", f"{'é' * 120}.tif"]


def test_names_that_no_file_or_table_takes_do_not_end_the_run(written, tmp_path):
    given = [image._replace(name=name) for image, name in zip(frames(len(ODD)), ODD, strict=True)]
    panels = written(given)
    assert len(panels) == len(ODD)
    assert all(panel.isprintable() and len(panel.encode()) < 220 for panel in panels)
    assert {"set-caf\\udce9.png", "set-line\\nbreak.png", "set-\\x1b[31mred.png"} <= set(panels)
    assert "caf\\udce9.png" in (tmp_path / "images.csv").read_text()


def test_every_image_has_a_row(written, tmp_path):
    given = frames(9, "two") + frames(4, "one")
    written(given)
    rows = pd.read_csv(tmp_path / "images.csv")
    assert [*zip(rows["set"], rows["position"], rows["image"], strict=True)] == [
        *(("one", position, f"{position}.png") for position in range(4)),
        *(("two", position, f"{position}.png") for position in range(9)),
    ]
    assert list(rows) == ["set", "position", "image", "sigma", "psnr", "ssim", "noisy_psnr", "tiled"]
    assert rows.notna().all().all()
    assert not list(tmp_path.rglob("*.part"))


def test_loggers_that_take_pictures_and_tables_get_them(written):
    calls = []

    class Log(pl.loggers.logger.DummyLogger):
        def log_image(self, key: str, images: list[Image.Image], caption: list[str]) -> None:
            calls.append((key, [image.mode for image in images], caption))

        def log_table(self, key: str, dataframe: pd.DataFrame) -> None:
            calls.append((key, dataframe["image"].tolist()))

    written(frames(2, "one") + frames(1, "two"), [Log()])
    assert calls == [
        ("test/one", ["RGB", "RGB"], ["0.png", "1.png"]),
        ("test/two", ["RGB"], ["0.png"]),
        ("test/images", ["0.png", "1.png", "0.png"]),
    ]


def test_other_tasks_have_none(tmp_path):
    callback, trainer = ImageResults(tmp_path), SimpleNamespace(num_test_batches=[1], world_size=1)
    callback.on_test_batch_end(trainer, pl.LightningModule(), None, None, 0)
    callback.on_test_end(trainer, pl.LightningModule())
    assert list(tmp_path.iterdir()) == []


class Diverged(nn.Module):
    def forward(self, noisy: torch.Tensor) -> torch.Tensor:
        return noisy * torch.nan


@pytest.mark.parametrize("size", [(1, 48, 48), (3, 48, 64), (1, 11, 11), (3, 100, 300)])
def test_a_picture_shows_four_images_pixel_by_pixel(written, tmp_path, size):
    (given,) = frames(1, size=size)
    assert written([given]) == ["set-0.png"]
    _, height, width = size
    with Image.open(tmp_path / "images" / "set-0.png") as panel:
        pixels = np.asarray(panel)
    above = len(pixels) - height
    assert pixels.shape == (above + height, 4 * width + 3 * 4, 3)
    assert 20 < above < 60
    assert pixels[:above].min() < 128  # titles
    noisy = GaussianNoise(25).add_test_noise(given.clean, 0, 0)
    denoised = noisy.clamp(0, 1)
    for column, image in enumerate([given.clean, noisy, denoised, 0.5 + 5 * (denoised - given.clean)]):
        left = column * (width + 4)
        expected = (image[0].clamp(0, 1) * 255).round().permute(1, 2, 0).expand(height, width, 3).numpy()
        assert np.array_equal(pixels[above:, left : left + width], expected)
        assert (pixels[above:, left + width : left + width + 4] == 255).all()


def test_a_diverged_model_is_drawn_too(written, tmp_path):
    assert written(frames(1), model=Diverged()) == ["set-0.png"]
    assert pd.read_csv(tmp_path / "images.csv")["psnr"].isna().all()
