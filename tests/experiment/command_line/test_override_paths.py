"""Folders on the command line come out of Hydra as they lie on the disk, or one sentence says how to quote them."""

import pytest

from wconv.experiment.command_line.arguments import parse_command_line
from wconv.experiment.common.checkout import CONFIGS
from wconv.experiment.common.exceptions import ConfigError

NAMES = {
    "a=b": ("a=b", r"a\=b", "'a=b'", '"a=b"'),
    "a,b": ("a,b", r"a\,b", "'a,b'"),
    "a b": ("a b", r"a\ b", "'a b'"),
    "it's": ("it's", r"'it\'s'", '"it\'s"'),
    "(1)": ("(1)", r"\(1\)", "'(1)'"),
    "[x]": (r"\[x\]", "'[x]'"),
    "a:b{c}": ("a:b{c}", r"a\:b\{c\}"),
    "back\\slash": ("back\\slash", r"back\\slash", r"'back\slash'"),
    "back\\": ("back\\\\",),
    "ö.ü": ("ö.ü",),
}
CASES = [(name, typed) for name, spellings in NAMES.items() for typed in spellings]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("name", "typed"), CASES)
def test_a_folder(name, typed, here):
    config = parse_command_line([f"paths.data_dir={typed}"], CONFIGS).config
    assert config.paths.data_dir == str(here / name)


@pytest.mark.parametrize(("name", "typed"), CASES)
def test_a_file_to_start_from(name, typed, here):
    config = parse_command_line(["model=resnet", f"model.checkpoint={typed}"], CONFIGS).config
    assert config.model.checkpoint == str(here / name)


def test_no_file_to_start_from(here):
    assert parse_command_line(["model=resnet", "model.checkpoint=null"], CONFIGS).config.model.checkpoint is None


@pytest.mark.parametrize(("name", "typed"), [case for case in CASES if case[1] not in ("a,b", "it's")])
def test_a_list_of_folders(name, typed, here):
    words = ["datamodule=image_folder", "model=dncnn", "datamodule.train_dir=x"]
    config = parse_command_line([*words, f"datamodule.test_dirs=[{typed}, b/c]"], CONFIGS).config
    assert list(config.datamodule.test_dirs) == [str(here / name), str(here / "b" / "c")]


@pytest.mark.parametrize(
    ("typed", "advice"),
    [
        ("[a,b/c]", "\"datamodule.test_dirs=['a,b/c']\""),
        ("[x,a,b/c,y]", "\"datamodule.test_dirs=[x,'a,b/c',y]\""),
    ],
)
def test_a_comma_in_a_name_is_told(typed, advice, here):
    (here / "a,b" / "c").mkdir(parents=True)
    (here / "x").mkdir()
    words = ["datamodule=image_folder", "model=dncnn", "datamodule.train_dir=x"]
    with pytest.raises(ConfigError) as refused:
        parse_command_line([*words, f"datamodule.test_dirs={typed}"], CONFIGS)
    assert str(refused.value) == (
        f"datamodule.test_dirs={typed}: a comma separates folders; if it belongs to a name, write {advice}"
    )
    corrected = advice.strip('"')
    dirs = parse_command_line([*words, corrected], CONFIGS).config.datamodule.test_dirs
    assert str(here / "a,b" / "c") in dirs


def test_two_folders_that_are_there_are_two(here):
    for name in ("a", "b/c", "a,b/c"):
        (here / name).mkdir(parents=True)
    words = ["datamodule=image_folder", "model=dncnn", "datamodule.train_dir=x", "datamodule.test_dirs=[a,b/c]"]
    config = parse_command_line(words, CONFIGS).config
    assert list(config.datamodule.test_dirs) == [str(here / "a"), str(here / "b" / "c")]


def test_the_values_of_a_grid(here):
    line = parse_command_line(["-m", r"paths.output_dir=a\=b,'c,d',e"], CONFIGS)
    assert line.overrides == [f"paths.output_dir='{here}/a=b','{here}/c,d','{here}/e'"]
