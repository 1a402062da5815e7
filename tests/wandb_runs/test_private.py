"""What is assumed of the parts of wandb that are not public."""

import os
import subprocess

import pytest

from wconv.experiment.reports.wandb import private

URL = "http://127.0.0.1:9"  # nobody answers, and nobody is asked


def test_ids_are_new_and_fit_into_an_address():
    one, two = private.run_id(), private.run_id()
    assert one != two
    assert one.isalnum()


@pytest.fixture
def no_key(tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))


def test_without_a_key_there_is_none_and_nobody_is_asked(no_key):
    assert not private.has_key(URL)


def test_a_key_of_the_environment_counts(no_key, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    assert private.has_key(URL)


def test_a_key_of_the_wrong_form_is_refused_without_being_shown(no_key, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    with pytest.raises(Exception) as caught:  # noqa: PT011  (of a class of theirs)
        private.has_key(URL)
    assert "secret" not in str(caught.value)


def test_the_compiled_program_reads_records(tmp_path):
    program = private.core_program()
    assert os.access(program, os.X_OK)
    done = subprocess.run([program, "leet", "inspect", "--help"], capture_output=True, text=True)
    assert {"-run-file", "-json"} <= set((done.stdout + done.stderr).split())
