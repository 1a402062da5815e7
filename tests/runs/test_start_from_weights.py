"""model.checkpoint: a training that starts from somebody's weights."""

import json

import pytest
import torch
import yaml

from models.resnet import ResNet
from wconv.experiment.inference.load import load_network
from wconv.experiment.reports.comparison import Comparison
from wconv.experiment.runs.saved_runs import read_run

SMALL = ("model=resnet", "model.depth=20", "model.width=0.2", "trainer.max_epochs=1", "datamodule.train_images=60")
STILL = ("optimizer.lr=1e-30", "optimizer.weight_decay=0")  # the weights of the end are those of the start


@pytest.fixture
def file(tmp_path):
    """Return a file of weights for the 20 classes of the drawn images."""
    torch.manual_seed(3)
    path = tmp_path / "resnet20.th"
    state = {f"module.{name}": value for name, value in ResNet(20, depth=20, width=0.2).state_dict().items()}
    torch.save({"state_dict": state, "best_prec1": 91.7}, path)
    return path


def weights(run):
    return {name: value for name, value in load_network(run).model.state_dict().items() if name.endswith("weight")}


@pytest.mark.parametrize("conv", ["standard", "weighted"])
def test_a_run_starts_from_the_file_and_is_known_by_its_content(conv, file, train, tmp_path):
    words = (*SMALL, *STILL, f"conv={conv}")
    done = train(*words, f"model.checkpoint={file}")
    assert (done.code, done.err) == (0, "")
    state = torch.load(file, weights_only=True)["state_dict"]
    for name, value in weights(done.directory).items():
        torch.testing.assert_close(value, state[f"module.{name}"], msg=name)
    other = train(*words)
    assert other.directory != done.directory
    assert not torch.equal(weights(other.directory)["stem.0.weight"], weights(done.directory)["stem.0.weight"])
    again = train(*words, f"model.checkpoint={file.rename(tmp_path / 'moved.th')}")
    assert again.directory == done.directory


def test_the_run_is_read_back_without_the_file(file, train):
    done = train(*SMALL, f"model.checkpoint={file}")
    file.unlink()
    assert load_network(done.directory).arguments == {"num_classes": 20, "in_channels": 3}
    assert yaml.safe_load((done.directory / "config.yaml").read_text())["model"]["checkpoint"] == str(file)
    assert json.loads((done.directory / "results.json").read_text())["status"] == "completed"


def test_a_classifier_for_other_classes_is_drawn_and_that_is_said(train, tmp_path):
    state = ResNet(10, depth=20, width=0.2).state_dict()
    torch.save(state, tmp_path / "ten.th")
    with pytest.warns(UserWarning, match="is for 10 classes, and the data has 20: the classifier starts from random"):
        done = train(*SMALL, *STILL, f"model.checkpoint={tmp_path / 'ten.th'}")
    assert done.code == 0
    torch.testing.assert_close(weights(done.directory)["stem.0.weight"], state["stem.0.weight"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        ("text", "cannot be read as a file of weights"),
        ([1], "holds a list"),
        ({"conv.weight": torch.ones(1)}, "no weights of a ResNet"),
        (ResNet(20, depth=20, width=0.3).state_dict(), "size mismatch for stem.0.weight"),
        (
            {name: value * torch.nan for name, value in ResNet(20, depth=20, width=0.2).state_dict().items()},
            "stem.0.weight holds NaN or infinite values",
        ),
        (ResNet(20, depth=20, width=0.2), "Python objects (models.resnet."),
        ({"state_dict": {}, "metrics": [], "pytorch-lightning_version": "2"}, "name the folder of the run"),
    ],
)
def test_what_cannot_be_started_from_is_refused(content, words, train, tmp_path):
    path = tmp_path / "weights.pth"
    if isinstance(content, str):
        path.write_text(content)
    elif content is not None:
        torch.save(content, path)
    done = train(*SMALL, f"model.checkpoint={path}")
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert f"model.checkpoint={path}" in done.err
    assert words in done.err
    assert not list(tmp_path.glob("runs/*/*"))


@pytest.mark.parametrize("typed", ["resnet20.th", "../{}/resnet20.th", "'resnet20.th'"])
def test_a_relative_path_starts_where_the_user_stands(typed, file, train, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = train(*SMALL, f"model.checkpoint={typed.format(tmp_path.name)}")
    assert (done.code, done.err) == (0, "")
    # In the configuration it is absolute, so that a run resumes from anywhere.
    assert yaml.safe_load((done.directory / "config.yaml").read_text())["model"]["checkpoint"] == str(file)


def test_a_home_folder_is_found(file, train, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert train(*SMALL, "model.checkpoint=~/resnet20.th").code == 0


def test_compare_tells_runs_apart_by_what_is_in_the_file(file, train, tmp_path):
    """The same file elsewhere is the same choice, another one under the same name is another."""
    first = train(*SMALL, f"model.checkpoint={file}")
    moved = train(*SMALL, "seed=1", f"model.checkpoint={file.rename(tmp_path / 'moved.th')}")
    torch.save(ResNet(20, depth=20, width=0.2).state_dict(), file)
    other = train(*SMALL, f"model.checkpoint={file}")
    runs = [read_run(done.directory) for done in (first, moved, other, train(*SMALL))]
    comparison = Comparison(runs)
    assert sorted(len(group.counted) for group in comparison.groups) == [1, 1, 2]
    digests = [run.features["model.checkpoint"] for run in runs[:3]]
    assert digests[0] == digests[1] == first.results["checkpoint"][:8] != digests[2]
    assert "checkpoint" in comparison.table.columns
    assert runs[3].features["model.checkpoint"] == "null"


def test_what_is_no_file_is_refused(train, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = train(*SMALL, "model.checkpoint=3").err
    assert f"model.checkpoint={tmp_path / '3'} cannot be read (No such file or directory)" in message
