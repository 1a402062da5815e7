"""What is missing for a run is said before it starts: exit code 2, one line, nothing made."""

import os
import subprocess
import time
from collections import namedtuple

import pytest
import torch

from wconv.experiment.training import preflight

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def mounted(tmp_path):
    """Mount a file system of some size; unmounted at the end."""
    place = tmp_path / "small"

    def mount(options: str):
        place.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True)
        if done.returncode:
            pytest.skip("needs the right to mount a file system")
        return place

    yield mount
    subprocess.run(["umount", str(place)], capture_output=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a file system")
def test_a_file_system_without_room(train, mounted):
    place = mounted("size=1m")
    message = train(f"paths.output_dir={place}").refusal()
    assert "the run will write about" in message
    assert "make room there, or set paths.output_dir" in message
    assert list(place.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a file system")
def test_a_file_system_that_is_read_only(train, mounted):
    message = train(f"paths.output_dir={mounted('size=1m,ro')}").refusal()
    assert "cannot be written (Read-only file system); set paths.output_dir" in message


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a file system")
def test_a_file_system_with_just_enough_room(train, mounted):
    place = mounted("size=6m")
    done = train(f"paths.output_dir={place}", "debug=fast")
    assert done.code == 0, done.err


def test_the_estimate_is_that_of_what_is_written(train, monkeypatch):
    """Four checkpoints of the right size; what a run that resumes has already is no more needed."""
    from wconv.experiment.training import preflight

    asked = []

    def usage(folder):
        asked.append(folder)
        return Usage(10**12, 0, 10**12)

    sizes = []
    original = preflight._check_folder
    monkeypatch.setattr(preflight.shutil, "disk_usage", usage)
    monkeypatch.setattr(preflight, "_check_folder", lambda run, size: (sizes.append(size), original(run, size)))
    done = train("model.width=0.5", "debug=fast")
    assert done.code == 0, done.err
    checkpoint = (done.directory / "checkpoints" / "last.ckpt").stat().st_size
    assert len(asked) == 1
    assert sizes[0] - preflight.TABLES == pytest.approx(preflight.CHECKPOINTS * checkpoint, rel=0.02)

    (done.directory / "results.json").unlink()
    written = sum(path.stat().st_size for path in done.directory.rglob("*") if path.is_file())
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda _: Usage(0, 0, sizes[0] - written + 1000))
    assert train("model.width=0.5", "debug=fast").code == 0
    (done.directory / "results.json").unlink()
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda _: Usage(0, 0, 10**6))
    assert "1.0 MB are free" in train("model.width=0.5", "debug=fast").refusal()


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_what_the_optimiser_remembers_counts(train, monkeypatch, optimizer):
    from wconv.experiment.training import preflight

    monkeypatch.setattr(preflight, "_check_folder", lambda run, size: sizes.append(size))
    sizes: list[int] = []
    done = train(f"optimizer={optimizer}", "model.width=0.5", "debug=fast")
    checkpoint = (done.directory / "checkpoints" / "last.ckpt").stat().st_size
    assert sizes[0] - preflight.TABLES == pytest.approx(preflight.CHECKPOINTS * checkpoint, rel=0.02)


def test_a_network_that_no_memory_holds(train):
    start = time.monotonic()
    message = train("model.width=1000").refusal()
    assert "of memory, where there are" in message
    assert time.monotonic() - start < 20


def test_a_gpu_that_is_not_there(train, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "choose trainer.accelerator=cpu" in train("trainer.accelerator=gpu").refusal()
    assert "choose trainer.accelerator=cpu" in train("trainer.accelerator=cuda").refusal()


@pytest.mark.parametrize("precision", ["16-mixed", "16-true"])
def test_half_precision_on_a_cpu(train, precision):
    assert "choose bf16-mixed or 32-true" in train(f"trainer.precision={precision}").refusal()


@pytest.fixture
def old_gpu(monkeypatch):
    """Let PyTorch report one GPU of an old kind."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "Tesla P100")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_, **__: False)


@pytest.mark.parametrize("devices", ["2", "[1]", "[0,3]"])
def test_more_gpus_than_there_are(train, old_gpu, devices):
    message = train("trainer.accelerator=gpu", f"trainer.devices={devices}").refusal()
    assert "but PyTorch sees 1 GPU; ask for more, or use those" in message


@pytest.mark.parametrize("accelerator", ["gpu", "auto"])
def test_a_gpu_without_bfloat16(train, old_gpu, accelerator):
    message = train(f"trainer.accelerator={accelerator}", "trainer.precision=bf16-mixed").refusal()
    assert "Tesla P100 has no bfloat16; choose 16-mixed or 32-true" in message


@pytest.mark.parametrize("name", preflight.BFLOAT16)
def test_a_cpu_says_whether_it_has_bfloat16(name, monkeypatch):
    assert preflight.has_bfloat16_instructions() in (True, False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True}, raising=False)
    assert not preflight.has_bfloat16_instructions()
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True, name: True})
    assert preflight.has_bfloat16_instructions()
    monkeypatch.delattr(torch.cpu, "get_capabilities")  # as in PyTorch 2.6
    assert preflight.has_bfloat16_instructions()
