import pytest
from omegaconf import OmegaConf

from wconv.experiment.identity import identity, run_hash

CONFIG = {
    "seed": 0,
    "force": False,
    "paths": {"data_dir": "data", "output_dir": "runs"},
    "datamodule": {"name": "cifar100", "data_dir": "${paths.data_dir}", "batch_size": 128},
    "trainer": {"max_epochs": 2, "accelerator": "auto", "profiler": None},
    "optimizer": {"lr": 0.1},
    "callbacks": {"progress": {"every_seconds": 30}},
    "logger": {"name": "csv"},
}


def hashed(data="abc", **changes) -> str:
    config = OmegaConf.create(CONFIG)
    for key, value in changes.items():
        OmegaConf.update(config, key.replace("__", "."), value)
    return run_hash(identity(config, {"md5": data}))


@pytest.mark.parametrize(
    "change",
    [
        {"force": True},
        {"paths__data_dir": "/elsewhere"},
        {"paths__output_dir": "/elsewhere"},
        {"trainer__accelerator": "cpu"},
        {"trainer__profiler": "simple"},
        {"logger__name": "wandb"},
        {"callbacks__progress__every_seconds": 1},
        {"optimizer__lr": 1e-1},
    ],
)
def test_what_cannot_change_the_result_is_the_same_run(change):
    assert hashed(**change) == hashed()


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"trainer__max_epochs": 3},
        {"optimizer__lr": 0.2},
        {"datamodule__batch_size": 64},
        {"data": "other"},
    ],
)
def test_what_can_change_the_result_is_another_run(change):
    assert hashed(**change) != hashed()


def test_a_whole_number_is_the_same_as_its_float():
    assert hashed(optimizer__lr=1) == hashed(optimizer__lr=1.0)
    assert hashed(optimizer__lr=1) != hashed(optimizer__lr=True)
