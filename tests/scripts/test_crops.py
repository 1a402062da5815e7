from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts import crops
from tests.tiny import SMALL_DENOISER, command_line


@pytest.fixture
def runs(train):
    return [
        train(*command_line(SMALL_DENOISER, "datamodule.drawn_size=32", f"conv={conv}")).directory
        for conv in ("standard", "weighted")
    ]


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(np.arange(60 * 80, dtype=np.uint8).reshape(60, 80)).save(path)
    return path


def test_a_part_is_shown_clean_noisy_and_from_every_run(runs, photo, tmp_path, capsys):
    out = tmp_path / "new" / "crops.png"
    line = [*map(str, runs), "--image", str(photo), "--at", "30", "20", "--size", "32", "-o", str(out)]
    assert crops.main(line) == 0
    assert capsys.readouterr().out.strip() == str(out)
    panel = np.asarray(Image.open(out))
    assert panel.shape[1] == 4 * 64 + 3 * 4
    clean = np.asarray(Image.open(photo))[20:52, 30:62]
    assert (panel[-132:-68:2, 0:64:2, 0] == clean).all()
    assert (panel[-64:, :64] == 128).all()  # the clean image has no error
    assert panel[-64:, 68:132].std() > 50
    assert crops.main(line) == 0
    assert (np.asarray(Image.open(out)) == panel).all()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--at", "60", "40"], "is not inside the image of 80x60 pixels"),
        (["--image", "none.png"], "none.png cannot be read as an image"),
    ],
)
def test_what_cannot_be_shown_is_said(more, words, runs, photo, tmp_path, capsys):
    line = [str(runs[0]), "--image", str(photo), "--size", "32", "-o", str(tmp_path / "x.png"), *more]
    capsys.readouterr()
    assert crops.main(line) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "x.png").exists()


def test_a_folder_that_is_no_run_is_said(photo, tmp_path, capsys):
    assert crops.main([str(Path(tmp_path)), "--image", str(photo), "-o", str(tmp_path / "x.png")]) == 2
    assert "holds no config.yaml" in capsys.readouterr().err
