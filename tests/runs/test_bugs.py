"""A bug is none of the user's doing: exit code 1, one line, and the traceback in a file that it names."""

import re
from pathlib import Path

import pytest

from datamodules.synthetic_classes import SyntheticClasses
from models.vgg import VGG
from wconv.experiment.tasks import arms

ORIGINAL = VGG.__init__


def boom(*_args: object, **_options: object) -> None:
    raise RuntimeError("boom")


def mistyped(self: VGG, *args: object, **options: object) -> None:
    ORIGINAL(self, *args, **options)
    self.fetures.requires_grad_(True)


def log_of(message: str) -> str:
    found = re.search(r"\(see (.*\.log)\)", message)
    assert found, message
    return Path(found[1]).read_text()


@pytest.mark.parametrize(
    ("owner", "name", "bug", "kind", "line"),
    [
        (VGG, "__init__", mistyped, "AttributeError", "self.fetures.requires_grad_(True)"),
        (VGG, "__init__", boom, "RuntimeError", 'raise RuntimeError("boom")'),
        (arms, "standard", boom, "RuntimeError", 'raise RuntimeError("boom")'),
        (SyntheticClasses, "read", boom, "RuntimeError", 'raise RuntimeError("boom")'),
        (SyntheticClasses, "fingerprint", boom, "RuntimeError", 'raise RuntimeError("boom")'),
    ],
)
def test_a_bug_ends_with_its_traceback_in_a_file(train, monkeypatch, owner, name, bug, kind, line):
    monkeypatch.setattr(owner, name, bug)
    done = train()
    assert done.code == 1
    assert done.out == ""
    assert done.err.count("\n") == 1
    assert kind in done.err
    assert line in log_of(done.err)


def test_the_traceback_lies_in_the_run_folder_until_a_run_comes_through(train, monkeypatch, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VGG, "__init__", boom)
        train("debug=fast")
    (folder,) = (tmp_path / "runs" / "classification").iterdir()
    assert [path.name for path in folder.iterdir()] == ["error.log"]
    assert train("debug=fast").directory == folder
    assert not (folder / "error.log").exists()


def test_a_value_that_the_constructor_refuses_is_the_users(train, tmp_path):
    done = train("model.depth=12")
    assert done.code == 2
    assert "see " not in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_group_with_other_arguments_than_its_class_has_is_the_users(train, monkeypatch):
    monkeypatch.setattr("models.vgg.VGG.__init__", lambda self, num_classes, in_channels: None)
    done = train()
    assert done.code == 2
    assert "models.vgg.VGG cannot be called with the arguments of its group" in done.err
