"""What a sweep will cost follows from finished runs."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from wconv.experiment.sweep.estimate import compare_with_walltime, estimates, workload
from wconv.experiment.sweep.manifest import Row, Settings, Sweep
from wconv.experiment.sweep.slurm.commands import explain_refusal, parse_time_limit


@pytest.fixture
def some(tmp_path: Path) -> Sweep:
    rows = [Row(tmp_path / f"{model}{number}", model, 10, "") for model in ("vgg", "resnet") for number in range(2)]
    values = {
        "cluster": {"cores_per_gpu": 8},
        "resources": {"gpus": 1, "cpus": 4, "walltime": "02:00:00"},
        "trainer.devices": 1,
        "trainer.num_nodes": 1,
    }
    return Sweep("some", tmp_path / "sweeps" / "some", rows, Settings(values))


def config(model: str, **data_arguments: object) -> dict[str, Any]:
    trainer = {
        "devices": 1,
        "num_nodes": 1,
        "precision": "32-true",
        "limit_train_batches": 1.0,
        "limit_val_batches": 1.0,
    }
    return {
        "model": {"name": model, "depth": 16},
        "datamodule": {"train_subset": None, **data_arguments},
        "trainer": trainer,
    }


def finish(
    tmp_path: Path, name: str, model: str, data_arguments: dict[str, object] | None = None, **content: object
) -> None:
    folder = tmp_path / "runs" / "classification" / name
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config(model, **data_arguments or {})))
    said = {"status": "completed", "model": model, "device": "NVIDIA A100", "epochs": 2, **content}
    (folder / "results.json").write_text(json.dumps(said))


def test_core_hours_follow_from_runs_of_the_same_work_on_the_same_device(some, tmp_path):
    finish(tmp_path, "a", "vgg", seconds=1000.0)
    finish(tmp_path, "b", "vgg", {"data_dir": "elsewhere", "seed": 1}, seconds=440.0)
    finish(tmp_path, "c", "vgg", device="cpu (x86_64)", seconds=1e6)
    finish(tmp_path, "d", "resnet", seconds=10.0, status="failed")
    finish(tmp_path, "e", "vgg", {"train_subset": 100}, seconds=1.0)
    finish(tmp_path, "f", "resnet", seconds="never")
    work = [(workload(config(model)), [row for row in some.rows if row.model == model]) for model in ("vgg", "resnet")]
    vgg, resnet = estimates(some, work, [tmp_path / "runs", tmp_path / "runs"])
    assert (vgg.hours, vgg.core_hours) == (1.0, 16.0)  # 360 s an epoch, two runs, a GPU as 8 cores
    assert vgg.description == "vgg: 2 runs of 1.00 h, 16.0 core-hours (from 2 finished runs on NVIDIA A100)"
    assert math.isnan(resnet.core_hours)
    assert "resnet: 2 runs, unknown" in resnet.description
    assert "is enough for the longest job, about 1.00 h" in compare_with_walltime(some, [vgg, resnet], 1)
    assert "about 5.00 h: it will save and resume 2 times" in compare_with_walltime(some, [vgg, resnet], 5)
    assert "unknown whether it is enough" in compare_with_walltime(some, [resnet], 1)


def test_runs_that_share_a_gpu_share_what_it_costs(some, tmp_path):
    finish(tmp_path, "a", "vgg", seconds=720.0)
    work = [(workload(config("vgg")), some.rows[:2])]
    some.settings.values["resources"]["runs_per_gpu"] = 4
    (vgg,) = estimates(some, work, [tmp_path / "runs"])
    assert (vgg.hours, vgg.core_hours) == (1.0, 4.0)


@pytest.mark.parametrize(
    ("text", "length"),
    [("00:30:00", 1800), ("1-00:00:00", 86400), ("4-00", 345600), ("30", 1800), ("30:30", 1830), ("UNLIMITED", None)],
)
def test_times_are_read_as_slurm_writes_them(text, length):
    assert parse_time_limit(text) == length


def test_a_word_of_slurm_that_nobody_knows_is_passed_on():
    message = explain_refusal("sbatch: error: Batch job submission failed: The moon is full", {})
    assert message == "SLURM refuses the job: Batch job submission failed: The moon is full"
