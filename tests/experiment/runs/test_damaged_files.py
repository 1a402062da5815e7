"""A byte flipped, a file cut off or emptied: noticed or repaired, no traceback, and never another number."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from datamodules.files.image_store import open_store
from wconv.experiment.runs.run_files import read_config, read_results, sealed_config, sealed_results
from wconv.experiment.runs.saved_runs import read_run


def damages(content: bytes, every: int) -> dict[str, bytes]:
    """Return what becomes of a file: emptied, cut off at every tenth of its length, or with one byte flipped."""
    found = {f"cut at {tenth}/10": content[: len(content) * tenth // 10] for tenth in range(10)}
    for position in range(0, len(content), every):
        for mask in (0x01, 0x10, 0xFF):
            flipped = bytes([content[position] ^ mask])
            found[f"byte {position} ^ {mask}"] = content[:position] + flipped + content[position + 1 :]
    return found


@pytest.fixture(autouse=True)
def row(record_fault) -> None:
    record_fault(
        "results.json, config.yaml, image store: bytes flipped, cut, emptied", 1, "nothing: noticed, or rebuilt"
    )


@pytest.fixture
def sealed(make_run) -> Path:
    """Return a run folder whose files have their checksums, as those that train.py writes."""
    folder = make_run("run", conv="weighted")
    results = json.loads((folder / "results.json").read_text())
    (folder / "results.json").write_text(sealed_results(results))
    (folder / "config.yaml").write_text(sealed_config((folder / "config.yaml").read_text()))
    return folder


@pytest.mark.parametrize("name", ["results.json", "config.yaml"])
def test_a_damaged_file_of_a_run_is_noticed(sealed, name):
    whole = read_run(sealed)
    assert whole.status == "completed"
    read = {"results.json": read_results, "config.yaml": read_config}[name]
    values = read(sealed)
    content = (sealed / name).read_bytes()
    noticed = 0
    for damage, damaged in damages(content, 5).items():
        (sealed / name).write_bytes(damaged)
        found = read_run(sealed)
        if found.status == "unreadable":
            assert name in found.reason, (damage, found.reason)
            noticed += 1
        else:  # in the checksum's own words or in a space, which change no value
            assert found == whole, damage
            assert read(sealed).items() >= values.items(), damage
    assert noticed > 0.9 * len(damages(content, 5))


def test_a_file_without_a_checksum_is_read_as_it_is(make_run):
    assert read_run(make_run("run")).status == "completed"


def test_a_configuration_comes_back_as_it_was(tmp_path):
    content = {"a": [1, 2.5, None, "x: y", "é"], "b": {"c": True, "d": "# sha256", "e": "1e3", "f": 1e-10}}
    (tmp_path / "config.yaml").write_text(sealed_config(OmegaConf.to_yaml(OmegaConf.create(content))))
    assert read_config(tmp_path) == content


@pytest.mark.parametrize("damage", ["a metric", "emptied", "cut off"])
def test_damaged_results_are_made_again(train, damage):
    done = train()
    path = done.directory / "results.json"
    whole = read_results(done.directory)
    text = path.read_text()
    accuracy = json.dumps(whole["metrics"]["test/acc"])
    texts = {"a metric": text.replace(accuracy, "0.999", 1), "emptied": "", "cut off": text[: len(text) // 2]}
    assert texts[damage] != text
    path.write_text(texts[damage])
    assert read_run(done.directory).status == "unreadable"
    again = train()
    assert again.code == 0, again.err
    assert "completed before" not in again.out
    assert read_results(again.directory)["metrics"] == whole["metrics"]


def test_a_damaged_configuration_is_written_anew_when_a_run_goes_on(train):
    done = train()
    path = done.directory / "config.yaml"
    text = path.read_text()
    path.write_text(text.replace("lr: 0.05", "lr: 0.06"))
    assert "its checksum is wrong" in read_run(done.directory).reason
    (done.directory / "results.json").unlink()
    assert train().code == 0
    assert path.read_text() == text


@pytest.mark.parametrize("name", ["pixels.bin", "index.json"])
def test_a_damaged_store_of_images_is_built_anew(tmp_path, name, capsys):
    images, stores = tmp_path / "images", tmp_path / "stores"
    images.mkdir()
    generator = np.random.default_rng(0)
    for number, shape in enumerate([(7, 5, 3), (4, 9, 3)]):
        pixels = generator.integers(0, 255, shape, dtype=np.uint8)
        Image.fromarray(pixels).save(images / f"{number}.png")
    files = sorted(images.glob("*.png"))

    def opened() -> list[torch.Tensor]:
        found = open_store(files, images, stores, 3)
        return [found[position].clone() for position in range(len(found))]

    whole = opened()
    (store,) = [path for path in stores.iterdir() if path.is_dir()]
    content = (store / name).read_bytes()
    backup = shutil.copytree(store, tmp_path / "backup")
    for damage, damaged in damages(content, 9).items():
        shutil.rmtree(store)
        shutil.copytree(backup, store)
        (store / name).write_bytes(damaged)
        capsys.readouterr()
        assert all(map(torch.equal, opened(), whole)), damage
        # The one harmless flip is that of a number into the same number.
        assert "decoding" in capsys.readouterr().out or json.loads(damaged) == json.loads(content), damage
