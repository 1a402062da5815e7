"""What a run says of itself names no place on a disk that lies within the checkout."""

from omegaconf import OmegaConf

from wconv.experiment.common.checkout import ROOT, relative_overrides, relative_paths


def test_paths_below_the_checkout_are_relative_in_the_command_of_a_run() -> None:
    lines = ["seed=1", f"paths.output_dir='{ROOT}/results/study/runs'", f"datamodule.test_dirs=['{ROOT}/a','/data/b']"]
    assert relative_overrides(lines) == [
        "seed=1",
        "paths.output_dir='results/study/runs'",
        "datamodule.test_dirs=['a','/data/b']",
    ]
    assert relative_overrides([f"model.name={ROOT}/x"]) == [f"model.name={ROOT}/x"], "no path by its key"


def test_and_in_its_configuration() -> None:
    config = OmegaConf.create({"paths": {"data_dir": f"{ROOT}/data", "output_dir": "/scratch/runs"}})
    assert relative_paths(config).paths == {"data_dir": "data", "output_dir": "/scratch/runs"}
