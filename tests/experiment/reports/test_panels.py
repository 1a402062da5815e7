import numpy as np
import pytest
import torch
from PIL import Image

from wconv.experiment.reports.panels import DIFFERENCE_GAIN, GAP, difference, make_panel


def test_a_row_shows_every_image_pixel_by_pixel():
    grey = torch.rand(1, 1, 30, 40)
    panel = np.asarray(make_panel({"clean": grey, "other": 1 - grey}))
    shown = (grey[0, 0] * 255).round().numpy()
    head = panel.shape[0] - 30
    assert panel.shape == (head + 30, 2 * 40 + GAP, 3)
    assert (panel[head:, :40] == shown[..., None]).all()
    assert (panel[head:, 40 + GAP :, 1] == ((1 - grey[0, 0]) * 255).round().numpy()).all()


def test_errors_stand_below_and_pixels_can_be_enlarged():
    colour = torch.full((1, 3, 8, 8), 0.4)
    wrong = colour.clone()
    wrong[:, 0] += 0.02
    panel = np.asarray(make_panel({"clean": colour, "wrong": wrong}, errors_below=True, scale=2))
    assert panel.shape[1] == 2 * 16 + GAP
    assert panel[-1, 0].tolist() == [128, 128, 128]
    assert panel[-1, -1].tolist() == [round(255 * (0.5 + DIFFERENCE_GAIN * 0.02)), 128, 128]


def test_a_difference_is_grey_where_there_is_none():
    assert difference(torch.ones(1), torch.ones(1)) == 0.5


@pytest.mark.parametrize("title", ["short", "a title too wide for one line 28.31 dB"])
def test_titles_leave_the_images_alone(title):
    image = torch.zeros(1, 1, 100, 100)
    panel = make_panel({"clean": image, title: image})
    assert isinstance(panel, Image.Image)
    assert not np.asarray(panel)[-100:, 104:].any()
    assert (np.asarray(panel)[:-100, 104:] < 128).any()  # the title
