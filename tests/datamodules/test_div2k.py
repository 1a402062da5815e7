"""DIV2K by its official names and sizes, generated: two images of real size, the rest tiny."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.batching.patches import Patches
from datamodules.div2k import DIV2K, official_files
from datamodules.image_folder import ImageFolder

REAL = (1356, 2040)  # height and width of 0001.png and of many others
LARGE = (1, 801)


def pixels_of(number: int) -> np.ndarray[Any, Any]:
    """Return the pixels of an image, which say whose they are: (H, W, 3)."""
    height, width = REAL if number in LARGE else (12 + number % 5, 12 + number % 7)
    rows, columns = np.ogrid[:height, :width]
    return np.stack(np.broadcast_arrays(number % 256 + 0 * rows, rows % 251, columns % 241), axis=-1).astype(np.uint8)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for name, numbers in (("DIV2K_train_HR", range(1, 801)), ("DIV2K_valid_HR", range(801, 901))):
        (folder / name).mkdir()
        for number in numbers:
            Image.fromarray(pixels_of(number)).save(folder / name / f"{number:04d}.png", compress_level=1)
    return folder


def make(data_dir: Path, **options: Any) -> DIV2K:
    numbers = {"batch_size": 64, "seed": 0, "channels": 3, "patch_size": 8, "patches_per_epoch": 640}
    return DIV2K(**{"data_dir": str(data_dir), "store_dir": str(data_dir / "stores"), **numbers, **options})


@pytest.fixture(scope="module")
def loaded(data_dir: Path) -> DIV2K:
    data = make(data_dir)
    data.load()
    return data


def test_twenty_of_the_800_are_held_out_and_the_100_are_the_test_set(loaded: DIV2K) -> None:
    assert (len(loaded.train), len(loaded.val)) == (780, 20)
    assert sorted([*loaded.train.names, *loaded.val.names]) == [f"{number:04d}.png" for number in range(1, 801)]
    assert list(loaded.test) == ["DIV2K_valid_HR"]
    assert list(loaded.test["DIV2K_valid_HR"].names) == [f"{number:04d}.png" for number in range(801, 901)]


def test_every_image_has_the_pixels_of_its_file(loaded: DIV2K) -> None:
    for images in (loaded.train, loaded.val, *loaded.test.values()):
        for image, name in zip(images, images.names, strict=True):
            assert torch.equal(image, torch.from_numpy(pixels_of(int(name[:4]))).permute(2, 0, 1)), name


def test_images_keep_their_real_size(loaded: DIV2K) -> None:
    assert tuple(loaded.test["DIV2K_valid_HR"][0].shape) == (3, *REAL)


def test_patches_are_parts_of_the_images(loaded: DIV2K) -> None:
    """Each patch says which image it is of and which rows and columns: they must be next to each other."""
    batches = list(loaded.train_dataloader())
    assert len(batches) == 10
    for batch in batches:
        assert isinstance(batch, Patches)
        assert tuple(batch.clean.shape) == (64, 3, 8, 8)
        number, row, column = batch.clean.long().unbind(1)
        assert (number == number[:, :1, :1]).all()
        assert ((row[:, 1:] - row[:, :-1]) % 251 == 1).all()
        assert ((column[:, :, 1:] - column[:, :, :-1]) % 241 == 1).all()


@pytest.mark.filterwarnings("ignore:.*smaller than a patch")
def test_patches_of_a_real_image_come_from_all_over_it(data_dir: Path) -> None:
    data = make(data_dir, patch_size=40, patches_per_epoch=6400)
    data.load()
    (position,) = (index for index, name in enumerate(data.train.names) if name == "0001.png")
    data.train = data.train.subset(torch.tensor([position]))
    row, column = (torch.cat([batch.clean[:, k] for batch in data.train_dataloader()]) for k in (1, 2))
    assert len(row[:, 0, 0].unique()) == 251  # all remainders are met
    assert len(column[:, 0, 0].unique()) == 241


def test_small_images_are_said_once(data_dir: Path) -> None:
    with pytest.warns(UserWarning, match="smaller than a patch") as caught:
        make(data_dir, patch_size=40).load()
    assert [str(warning.message) for warning in caught] == [
        "779 of 780 training images are smaller than a patch of 40x40; they are used whole, padded by reflection"
    ]


def test_one_store_serves_every_run(
    data_dir: Path, loaded: DIV2K, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    capsys.readouterr()
    monkeypatch.chdir(data_dir.parent)
    other = make(Path(data_dir.name), seed=1, train_subset=30)
    other.load()
    assert capsys.readouterr().out == ""
    assert (len(other.train), len(other.val)) == (27, 3)
    stores = [path for path in (data_dir / "stores").iterdir() if path.is_dir()]
    assert len(stores) == 2


def test_fingerprint_is_the_same_wherever_it_lies(data_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(data_dir, tmp_path / "copy", ignore=shutil.ignore_patterns("stores"))
    (tmp_path / "links").mkdir()
    for name in ("DIV2K_train_HR", "DIV2K_valid_HR"):
        shutil.copytree(data_dir / name, tmp_path / f"disk_{name}")
        (tmp_path / "links" / name).symlink_to(tmp_path / f"disk_{name}")
    here = make(data_dir).fingerprint()
    assert here["dataset"] == "div2k"
    assert make(tmp_path / "copy").fingerprint() == make(tmp_path / "links").fingerprint() == here
    Image.new("RGB", (50, 50)).save(tmp_path / "copy" / "DIV2K_valid_HR" / "0850.png")
    assert make(tmp_path / "copy").fingerprint() != here


def test_files_beside_the_official_ones_are_passed_over(data_dir: Path) -> None:
    extra = data_dir / "DIV2K_valid_HR" / "0901.png"
    before = make(data_dir).fingerprint()
    extra.write_text("no image")
    try:
        assert make(data_dir).fingerprint() == before
        assert len(official_files(extra.parent)) == 100
    finally:
        extra.unlink()


def test_it_is_an_image_folder(data_dir: Path, loaded: DIV2K) -> None:
    options = {"batch_size": 64, "seed": 0, "channels": 3, "patch_size": 8, "patches_per_epoch": 640, "val_dir": None}
    train, test = (str(data_dir / name) for name in ("DIV2K_train_HR", "DIV2K_valid_HR"))
    folder = ImageFolder(train_dir=train, test_dirs=[test], store_dir=str(data_dir / "stores"), **options)
    folder.load()
    for ours, theirs in zip(loaded.train_dataloader(), folder.train_dataloader(), strict=True):
        assert torch.equal(ours.clean, theirs.clean)


# What is refused


@pytest.mark.parametrize("name", ["DIV2K_train_HR", "DIV2K_valid_HR"])
def test_missing_folder_or_files(tmp_path: Path, name: str) -> None:
    data_dir = tmp_path / "my data"
    for part, numbers in (("DIV2K_train_HR", range(1, 801)), ("DIV2K_valid_HR", range(801, 901))):
        (data_dir / part).mkdir(parents=True)
        for number in numbers:
            (data_dir / part / f"{number:04d}.png").touch()
    files = sorted((data_dir / name).iterdir())
    for path in (files[3], files[7]):
        path.unlink()
    refused(data_dir, name, f"lacks 2 of {len(files)} images ({files[3].name} first)")
    shutil.rmtree(data_dir / name)
    refused(data_dir, name, "does not exist")


def lay_out(folder: Path, numbers: range) -> None:
    folder.mkdir(parents=True)
    for number in numbers:
        (folder / f"{number:04d}.png").touch()


@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize(
    ("lies", "words"),
    [
        ("NAME/NAME", "lacks N of N images (0001.png first), but they are all in PLACE: move them to FOLDER"),
        ("DIV2K/NAME", "does not exist, but it is PLACE: move it there, or point paths.data_dir at PLACE/.."),
    ],
)
def test_images_one_folder_further_down_are_found(tmp_path: Path, part: int, lies: str, words: str) -> None:
    name, numbers = (("DIV2K_train_HR", range(1, 801)), ("DIV2K_valid_HR", range(801, 901)))[part]
    place, folder = tmp_path / lies.replace("NAME", name), tmp_path / name
    lay_out(place, numbers)
    with pytest.raises(ValueError, match="DIV2K's folder") as caught:
        official_files(folder)
    said = words.replace("PLACE/..", str(place.parent)).replace("PLACE", str(place)).replace("FOLDER", str(folder))
    said = said.replace("N of N", f"{len(numbers)} of {len(numbers)}").replace("0001", f"{numbers[0]:04d}")
    assert str(caught.value) == f"DIV2K's folder {folder} {said}"


def test_the_folder_itself_named_as_the_one_that_holds_it(tmp_path: Path) -> None:
    folder = tmp_path / "DIV2K_train_HR"
    lay_out(folder, range(1, 801))
    with pytest.raises(ValueError, match=rf"but it is {folder}: .* or point paths.data_dir at {tmp_path}$"):
        official_files(folder / "DIV2K_train_HR")


def test_links_that_lead_nowhere_are_no_reason_to_download(tmp_path: Path) -> None:
    folder = tmp_path / "DIV2K_valid_HR"
    lay_out(folder, range(802, 901))
    (folder / "0801.png").symlink_to("gone.png")
    with pytest.raises(ValueError, match=r"the link .*/0801\.png leads nowhere \(to gone\.png\); mend or remove it"):
        official_files(folder)
    (tmp_path / "DIV2K_train_HR").symlink_to("unplugged")
    with pytest.raises(ValueError, match=r"the link .*/DIV2K_train_HR leads nowhere \(to unplugged\); mend or remove"):
        official_files(tmp_path / "DIV2K_train_HR")


def refused(data_dir: Path, name: str, found: str) -> None:
    data = make(data_dir)
    read = data.read_train if name == "DIV2K_train_HR" else data.read_test
    for call in (read, data.fingerprint):
        with pytest.raises(ValueError, match="DIV2K's folder") as caught:
            call()
        message = str(caught.value)
        assert message.startswith(f"DIV2K's folder {data_dir / name} {found}; run: ")
        assert f"prepare_data.py div2k --data-dir '{data_dir}'" in message
        assert "\n" not in message
