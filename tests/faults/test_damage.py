"""Checkpoints that rot, and disks that fill up in the middle of one."""

import json
import shutil
from pathlib import Path

import pytest
from fault_harness import small_disk

from wconv.experiment.runs.checkpoint_io import AtomicCheckpointIO

pytestmark = pytest.mark.faults
TENTHS = range(10)


def results(directory: Path) -> dict:
    return json.loads((directory / "results.json").read_text())


def flipped(content: bytes, tenth: int) -> bytes:
    place = len(content) * tenth // 10
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


DAMAGES = {
    "a byte flipped": [lambda content, tenth=tenth: flipped(content, tenth) for tenth in TENTHS],
    "cut to one, two, ... or nine tenths of its length": [
        lambda content, tenth=tenth: content[: len(content) * tenth // 10] for tenth in TENTHS[1:]
    ],
    "empty": [lambda content: b""],
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_last_checkpoint_costs_the_steps_since_the_one_before(name, train, record_fault):
    directory = train("trainer.max_epochs=3").directory
    undisturbed = results(directory)
    sound = directory.with_name("sound")
    (directory / "results.json").unlink()
    shutil.copytree(directory, sound)
    for damage in DAMAGES[name]:
        shutil.rmtree(directory)
        shutil.copytree(sound, directory)
        last = directory / "checkpoints" / "last.ckpt"
        last.write_bytes(damage(last.read_bytes()))
        done = train("trainer.max_epochs=3")
        assert done.code == 0, done.err
        assert f"{last} is damaged" in done.err
        assert "Traceback" not in done.err
        assert results(directory)["metrics"] == undisturbed["metrics"]
    record_fault(f"last.ckpt: {name}", len(DAMAGES[name]), "the steps since the checkpoint before it, trained again")


def test_a_disk_that_fills_up_in_a_checkpoint_leaves_the_last_one_whole(train, tmp_path, monkeypatch, record_fault):
    undisturbed = train("trainer.max_epochs=3")
    with small_disk(tmp_path / "disk", megabytes=8) as disk:
        options = ("trainer.max_epochs=3", f"paths.output_dir={disk / 'runs'}")
        filler, saves = disk / "filler", []
        original = AtomicCheckpointIO.save_checkpoint

        def save(self, checkpoint, path, storage_options=None):
            saves.append(path)
            if len(saves) == 4:  # best and last of two epochs
                free = shutil.disk_usage(disk).free
                size = (disk / Path(path).parent / "last.ckpt").stat().st_size
                filler.write_bytes(bytes(free - size // 2))
            original(self, checkpoint, path, storage_options)

        with monkeypatch.context() as patch:
            patch.setattr(AtomicCheckpointIO, "save_checkpoint", save)
            full = train(*options)
        assert full.code == 1
        assert f"no room is left on the disk of {disk}" in full.err
        directory = next((disk / "runs").glob("*/*"))
        assert results(directory)["status"] == "failed"
        assert {path.name for path in (directory / "checkpoints").glob("*.ckpt")} == {"best.ckpt", "last.ckpt"}
        assert not list(directory.rglob(".*.part"))
        filler.unlink()
        done = train(*options)
        assert "resuming from step 5 " in done.out  # of the first epoch: no byte of its checkpoint was touched
        assert done.code == 0, done.err
        assert results(directory)["metrics"] == results(undisturbed.directory)["metrics"]
    record_fault(
        "a disk full in the middle of a checkpoint", 1, "the steps since the checkpoint before it, trained again"
    )
