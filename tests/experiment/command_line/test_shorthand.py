"""fast=true is its settings: the same run, with and without the word."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from wconv.experiment.command_line.arguments import parse_command_line
from wconv.experiment.command_line.shorthand import FAST
from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.common.value_rules import check_values
from wconv.experiment.sweep.load import load_sweep

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = ROOT / "configs"


def config(*words: str):
    return parse_command_line(words, CONFIGS).config


@pytest.mark.parametrize("word", ["fast=true", "fast=True", "++fast=true"])
def test_the_word_and_its_settings_are_one_configuration(word):
    assert config("model=resnet", word) == config("model=resnet", *FAST)
    assert config(word).trainer.precision == "bf16-mixed"
    assert config(word).fast is False


@pytest.mark.parametrize(
    "words", [("fast=true", "trainer.precision=32-true"), ("trainer.precision=32-true", "fast=true")]
)
def test_what_is_typed_out_beside_it_wins(words):
    assert config(*words).trainer.precision == "32-true"
    assert config("fast=true", "channels_last=false").channels_last is False


def test_it_wins_over_an_experiment():
    assert config("experiment=quickstart", "fast=true").trainer.precision == "bf16-mixed"


def test_false_is_the_default():
    assert config("fast=false") == config()


@pytest.mark.parametrize("word", ["fast=yes", "fast=1", "fast=null", "fast='true'", "channels_last=1", "compile=null"])
def test_other_values_are_refused(word):
    with pytest.raises(ConfigError, match="expected true or false"):
        config(word)


def test_a_grid_over_it_is_told_what_to_write():
    with pytest.raises(ConfigError, match=r"fast=True: expected .* write trainer.precision=bf16-mixed"):
        parse_command_line(["-m", "fast=true,false"], CONFIGS)


def test_a_file_of_the_configuration_cannot_use_it():
    with initialize_config_dir(str(CONFIGS), version_base="1.3"), pytest.raises(ConfigError, match=r"write trainer"):
        check_values(compose("train", ["fast=true"]))


def test_a_grid_of_other_keys_takes_it():
    assert parse_command_line(["-m", "fast=true", "seed=0,1"], CONFIGS).overrides == ["seed=0,1", *FAST]


def test_a_sweep_takes_it_in_its_file_and_behind_its_name(tmp_path):
    file = tmp_path / "grid.yaml"
    file.write_text("overrides: [datamodule=synthetic_classes]\ngrid: {fast: [true, false]}\n")
    output = f"paths.output_dir={tmp_path}"
    rows = load_sweep(str(file), [output], ROOT, refresh=True).rows
    fast, default = (row.overrides for row in rows)
    assert set(FAST) <= set(fast)
    assert "fast=false" in default
    assert rows[0].directory != rows[1].directory
    file.write_text("overrides: [datamodule=synthetic_classes]\n")
    (row,) = load_sweep(str(file), [output, "fast=true"], ROOT, refresh=True).rows
    assert row.directory == rows[0].directory
