import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from datamodules.batching.labelled_images import LabelledImages
from datamodules.cifar100 import CIFAR100

MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.25, 0.3]


def load(data_dir: Path, **options: Any) -> CIFAR100:
    data = CIFAR100(str(data_dir), **{"batch_size": 10, "seed": 0, "mean": MEAN, "std": STD, **options})
    data.load()
    return data


def test_pixels_and_labels_are_those_of_the_files(mini_cifar: Any) -> None:
    data = load(mini_cifar.data_dir)
    assert data.classes == mini_cifar.names
    assert (data.num_classes, data.channels, data.image_size) == (5, 3, 32)
    assert data.test.images.dtype == torch.uint8
    assert torch.equal(data.test.images, torch.from_numpy(mini_cifar.pixels["test"]))
    assert data.test.labels.tolist() == mini_cifar.labels["test"]
    # Training and held-out images together are the file, every image with its own label.
    images, labels = torch.cat([data.train.images, data.val.images]), torch.cat([data.train.labels, data.val.labels])
    loaded = sorted((image.numpy().tobytes(), label) for image, label in zip(images, labels.tolist(), strict=True))
    written = zip(mini_cifar.pixels["train"], mini_cifar.labels["train"], strict=True)
    assert loaded == sorted((image.tobytes(), label) for image, label in written)


def test_held_out_part_is_stratified(mini_cifar: Any) -> None:
    assert load(mini_cifar.data_dir).val.labels.bincount().tolist() == [2] * 5  # a tenth of 20
    data = load(mini_cifar.data_dir, val_size=25)
    assert data.val.labels.bincount().tolist() == [5] * 5
    assert data.train.labels.bincount().tolist() == [15] * 5


def test_held_out_part_does_not_depend_on_the_seed(mini_cifar: Any) -> None:
    one, two = (load(mini_cifar.data_dir, seed=seed) for seed in (0, 1))
    assert torch.equal(one.val.images, two.val.images)
    assert not torch.equal(next(iter(one.train_dataloader()))[1], next(iter(two.train_dataloader()))[1])


def test_the_pixels_are_held_once(mini_cifar: Any) -> None:
    data = load(mini_cifar.data_dir)
    training, held_out = data.train_dataloader().dataset, data.val_dataloader().dataset
    assert isinstance(training, LabelledImages)
    assert isinstance(held_out, LabelledImages)
    storages = {part.images.untyped_storage().data_ptr() for part in (training, held_out)}
    assert len(storages) == 1
    assert training.images.untyped_storage().nbytes() == mini_cifar.pixels["train"].nbytes


def test_what_a_subset_leaves_out_is_not_kept(mini_cifar: Any) -> None:
    data = load(mini_cifar.data_dir, train_subset=50)
    assert data.train.pixels.untyped_storage().nbytes() == 50 * 3072
    assert data.train.pixels.data_ptr() == data.val.pixels.data_ptr()


def test_train_subset_counts_the_held_out_images(mini_cifar: Any) -> None:
    data = load(mini_cifar.data_dir, train_subset=50)
    assert (len(data.train.labels), len(data.val.labels), len(data.test.labels)) == (45, 5, 20)
    assert torch.cat([data.train.labels, data.val.labels]).bincount().tolist() == [10] * 5
    with pytest.raises(ValueError, match=r"train_subset=101.* 100 training images"):
        load(mini_cifar.data_dir, train_subset=101)


def test_loaders_yield_normalised_batches(mini_cifar: Any) -> None:
    data = load(mini_cifar.data_dir, crop_padding=4, flip=True)
    assert len(data.train_dataloader()) == 9
    images, labels = next(iter(data.train_dataloader()))
    assert images.shape == (10, 3, 32, 32)
    assert labels.shape == (10,)
    images, labels = next(iter(data.test_dataloader()))
    expected = (data.test.images[:10] / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    torch.testing.assert_close(images, expected)
    assert torch.equal(labels, data.test.labels[:10])


def test_statistics_are_measured_on_the_training_part_where_none_are_given(mini_cifar: Any) -> None:
    data = load(mini_cifar.data_dir, mean=None, std=None)
    pixels = data.train.images.double() / 255
    assert data.mean == pytest.approx(pixels.mean((0, 2, 3)).tolist(), abs=1e-12)
    assert data.std == pytest.approx(pixels.std((0, 2, 3), correction=0).tolist(), abs=1e-12)


@pytest.mark.parametrize("option", ["mean", "std"])
def test_statistics_for_other_channels_are_refused(mini_cifar: Any, option: str) -> None:
    with pytest.raises(ValueError, match=rf"datamodule\.{option}=\[0\.5\].* 3 channels"):
        load(mini_cifar.data_dir, **{option: [0.5]})


def test_fingerprint_names_the_files_and_not_their_place(mini_cifar: Any) -> None:
    one = CIFAR100(str(mini_cifar.data_dir), batch_size=1, seed=0).fingerprint()
    assert one == CIFAR100("elsewhere", batch_size=2, seed=3).fingerprint()
    assert one["dataset"] == "cifar100"
    assert set(one) == {"dataset", "train", "test"}


def refused(data_dir: Path, *words: str) -> None:
    """Expect a sentence that holds the words, the path to fix and the command that fixes it."""
    with pytest.raises(ValueError, match=re.escape(f"prepare_data.py cifar100 --data-dir {data_dir}")) as caught:
        load(data_dir)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message


def test_missing_folder(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", str(tmp_path / "nowhere" / "cifar-100-python"), "does not exist")


def test_data_dir_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    refused(tmp_path / "data", f"{tmp_path / 'data'} is a file")


def test_folder_is_a_file(mini_cifar: Any) -> None:
    shutil.rmtree(mini_cifar.folder)
    mini_cifar.folder.write_text("not a folder")
    refused(mini_cifar.data_dir, f"{mini_cifar.folder} is a file")


def test_empty_folder(mini_cifar: Any) -> None:
    for path in mini_cifar.folder.iterdir():
        path.unlink()
    refused(mini_cifar.data_dir, str(mini_cifar.folder), "has no file 'train'")


@pytest.mark.parametrize("name", ["train", "test", "meta"])
def test_missing_file(mini_cifar: Any, name: str) -> None:
    (mini_cifar.folder / name).unlink()
    refused(mini_cifar.data_dir, str(mini_cifar.folder), f"has no file '{name}'")


def test_directory_in_place_of_a_file(mini_cifar: Any) -> None:
    (mini_cifar.folder / "test").unlink()
    (mini_cifar.folder / "test").mkdir()
    refused(mini_cifar.data_dir, str(mini_cifar.folder), "has no file 'test'")


@pytest.mark.parametrize("name", ["train", "test", "meta"])
def test_truncated_file(mini_cifar: Any, name: str) -> None:
    path = mini_cifar.folder / name
    path.write_bytes(path.read_bytes()[:100])
    refused(mini_cifar.data_dir, str(path), "100 bytes", "not the official")


def test_one_altered_byte(mini_cifar: Any) -> None:
    path = mini_cifar.folder / "test"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    refused(mini_cifar.data_dir, str(path), "not the official", "md5")


def test_command_in_the_message_can_be_pasted_for_a_folder_with_a_space(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape(f"--data-dir '{tmp_path}/my data', ")):
        load(tmp_path / "my data")
