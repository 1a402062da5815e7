import numpy as np
import pytest
import torch
from PIL import Image

from wconv.experiment.reports.panels import DIFFERENCE_GAIN, GAP, difference, panels


def test_a_row_shows_every_image_pixel_by_pixel():
    grey = torch.rand(1, 1, 30, 40)
    picture = np.asarray(panels({"clean": grey, "other": 1 - grey}))
    shown = (grey[0, 0] * 255).round().numpy()
    head = picture.shape[0] - 30
    assert picture.shape == (head + 30, 2 * 40 + GAP, 3)
    assert (picture[head:, :40] == shown[..., None]).all()
    assert (picture[head:, 40 + GAP :, 1] == ((1 - grey[0, 0]) * 255).round().numpy()).all()


def test_errors_stand_below_and_pixels_can_be_enlarged():
    colour = torch.full((1, 3, 8, 8), 0.4)
    wrong = colour.clone()
    wrong[:, 0] += 0.02
    picture = np.asarray(panels({"clean": colour, "wrong": wrong}, errors_below=True, scale=2))
    assert picture.shape[1] == 2 * 16 + GAP
    assert picture[-1, 0].tolist() == [128, 128, 128]
    assert picture[-1, -1].tolist() == [round(255 * (0.5 + DIFFERENCE_GAIN * 0.02)), 128, 128]


def test_a_difference_is_grey_where_there_is_none():
    assert difference(torch.ones(1), torch.ones(1)) == 0.5


@pytest.mark.parametrize("title", ["short", "a title too wide for one line 28.31 dB"])
def test_titles_leave_the_images_alone(title):
    image = torch.zeros(1, 1, 100, 100)
    picture = panels({"clean": image, title: image})
    assert isinstance(picture, Image.Image)
    assert not np.asarray(picture)[-100:, 104:].any()
    assert (np.asarray(picture)[:-100, 104:] < 128).any()  # the title
