"""What a run is called by: it changes with what can change a result, and with nothing else."""

import copy

import pytest

from wconv.experiment.runs.identity import identity, relevant_settings, run_hash, without_neutral

CONFIG = {
    "seed": 1,
    "force": False,
    "paths": {"data_dir": "data", "output_dir": "runs"},
    "datamodule": {
        "name": "cifar100",
        "_target_": "datamodules.cifar100.CIFAR100",
        "data_dir": "data",
        "seed": 1,
        "batch_size": 128,
    },
    "trainer": {"_target_": "pytorch_lightning.Trainer", "max_epochs": 2, "accelerator": "auto", "profiler": None},
    "optimizer": {"_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.1, "nesterov": True},
    "scheduler": {
        "name": "cosine",
        "_target_": "wconv.experiment.tasks.schedules.cosine",
        "_partial_": True,
        "floor": 0.0,
    },
    "callbacks": {"progress": {"every_seconds": 30}},
    "logger": {"name": "csv"},
}


def hashed(data="abc", **changes) -> str:
    config = copy.deepcopy(CONFIG)
    for key, value in changes.items():
        *groups, last = key.split("__")
        part = config
        for group in groups:
            part = part.setdefault(group, {})
        part[last] = value
    return run_hash(identity(config, {"md5": data}))


@pytest.mark.parametrize(
    "change",
    [
        {"force": True},
        {"paths__data_dir": "/elsewhere"},
        {"paths__output_dir": "/elsewhere"},
        {"datamodule__data_dir": "/elsewhere"},
        {"datamodule__cache_dirs": ["/elsewhere"]},
        {"trainer__accelerator": "cpu"},
        {"trainer__profiler": "simple"},
        {"trainer__profile": True},
        {"channels_last": True},  # as runs were called before there was the key
        {"logger__name": "wandb"},
        {"callbacks__progress__every_seconds": 1},
        {"optimizer__lr": 1e-1},
    ],
)
def test_what_cannot_change_the_result_is_the_same_run(change):
    assert hashed(**change) == hashed()


@pytest.mark.parametrize("value", [None, False, 0, 0.0, {"deep": {"deeper": None}}])
@pytest.mark.parametrize("key", ["new", "trainer__new", "optimizer__new", "new__new", "datamodule__new"])
def test_a_key_that_is_added_with_a_neutral_value_is_the_same_run(key, value):
    assert hashed(**{key: value}) == hashed()


@pytest.mark.parametrize(
    "change",
    [
        {"datamodule___target_": "data.cifar.CIFAR100"},  # the file got another name
        {"datamodule___target_": "datamodules.cifar100.Cifar100Data"},  # the class did, and the group has a name
        {"scheduler___target_": "wconv.experiment.schedules.cosine"},
        {"optimizer___target_": "torch.optim.sgd.SGD"},
        {"trainer___target_": "lightning.Trainer"},
        {"optimizer__name": "sgd"},  # as the class says it, without a name
        {"optimizer___partial_": False},
    ],
)
def test_code_that_moves_is_the_same_run(change):
    assert hashed(**change) == hashed()


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 2},
        {"trainer__max_epochs": 3},
        {"optimizer__lr": 0.2},
        {"optimizer__nesterov": False},
        {"optimizer__new": 1e-9},
        {"optimizer___target_": "torch.optim.Adam"},
        {"scheduler__name": "linear"},
        {"datamodule__batch_size": 64},
        {"data": "other"},
    ],
)
def test_what_can_change_the_result_is_another_run(change):
    assert hashed(**change) != hashed()


def test_a_whole_number_is_the_same_as_its_float():
    assert hashed(optimizer__lr=1) == hashed(optimizer__lr=1.0)
    assert hashed(optimizer__lr=1) != hashed(optimizer__lr=True)


def test_lists_are_kept_as_they_are():
    assert without_neutral({"stages": [0, 2, None], "off": [], "none": None}) == {"stages": [0, 2, None], "off": []}


def test_the_settings_keep_their_values_and_names():
    assert relevant_settings(CONFIG) == {
        "seed": 1,
        "datamodule": {"name": "cifar100", "batch_size": 128},
        "trainer": {"name": "trainer", "max_epochs": 2},
        "optimizer": {"name": "sgd", "lr": 0.1, "nesterov": True},
        "scheduler": {"name": "cosine", "floor": 0.0},
    }


def test_of_a_file_to_start_from_the_content_counts(tmp_path):
    (tmp_path / "deep").mkdir()
    for name, content in (("a", b"one"), ("deep/b", b"one"), ("c", b"two")):
        (tmp_path / name).write_bytes(content)

    def started(path: object) -> str:
        return hashed(model={"name": "resnet", "depth": 20, "checkpoint": path and str(path)})

    assert started(None) == hashed(model={"name": "resnet", "depth": 20})
    assert started(tmp_path / "a") == started(tmp_path / "deep" / "b")
    assert len({started(path) for path in (None, tmp_path / "a", tmp_path / "c")}) == 3
    with pytest.raises(ValueError, match=r"model.checkpoint=.*nothing cannot be read \(No such file or directory\)"):
        started(tmp_path / "nothing")


@pytest.mark.parametrize("change", [{"channels_last": False}, {"compile": True}])
def test_another_way_to_compute_is_another_run(change):
    assert hashed(**change) != hashed()


def test_whatever_layers_are_called_their_densities_count():
    def conv(**layers: list[float]) -> str:
        density = {name.replace("__", "."): taps for name, taps in layers.items()}
        return hashed(conv={"name": "weighted", "density": {"k3": [0.7]}, "layer_density": density or None})

    assert conv() == hashed(conv={"name": "weighted", "density": {"k3": [0.7]}})
    names = ("features__0", "seed", "name", "weights_dir")
    assert len({conv(), *(conv(**{name: [value]}) for name in names for value in (0.5, 0.0))}) == 9
    assert conv(a=[0.5], b=[0.7]) == conv(b=[0.7], a=[0.5])
