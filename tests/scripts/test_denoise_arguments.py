"""What scripts/denoise.py accepts and refuses on its command line, and the names that it shows."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scripts import denoise as script
from tests.scripts.denoisers import Darker, Trained, draw, load
from wconv.experiment.common.exceptions import ConfigError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.png", "-o", "out"], "nowhere.png does not exist; name photos"),
        (["nowhere.png", "-o", "out.png"], "nowhere.png does not exist; name photos"),
        (["empty", "-o", "out"], "empty holds no picture"),
        (["a.png", "-o", "a.png"], "would replace the input a.png"),
        (["a.png", "-o", "."], "would replace the input a.png"),
        (["a.png", "-o", "link.png"], "would replace the input link.png; choose another"),
        ([".", "-o", "."], "would replace the input a.png"),
        (["a.png", "-o", "hard.png"], "would replace the input hard.png; choose another"),
        (["a.png", "-o", "b.jpg"], "b.jpg would have the format of a.png; give it the ending '.png' too"),
        (["a.png", "deep/b.png", "-o", "new.png"], "new.png is no folder"),
        (["a.png", "deep", "-o", "a.txt"], "a.txt is no folder"),
        (["a.png", "deep/a.png", "-o", "out"], "deep/a.png would both be written to out/a.png"),
        (["a.png", "-o", "taken"], "cannot go to taken/a.png, which is a folder"),
        (["a.png", "-o", "a.txt/out"], "a.txt/out cannot be made (Not a directory); choose another place"),
        (["a.png", "-o", "out", "--sigma", "-1"], "--sigma -1: choose a number from 0 to 255"),
        (["a.png", "-o", "out", "--sigma", "nan"], "--sigma nan: choose"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_done(tmp_path, monkeypatch, denoise, arguments, message):
    monkeypatch.chdir(tmp_path)
    before = draw(Path("a.png"))
    draw(Path("deep/a.png"))
    draw(Path("deep/b.png"))
    Path("a.txt").write_text("no picture")
    Path("link.png").symlink_to("a.png")
    Path("hard.png").hardlink_to("a.png")
    Path("empty").mkdir()
    Path("taken/a.png").mkdir(parents=True)
    files = sorted(tmp_path.rglob("*"))
    code, out, err = denoise(Trained(Darker(), channels=3), *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("denoise: ")
    assert message in err
    assert len(err.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == files
    assert np.array_equal(load(Path("a.png")), before)


def test_the_same_picture_named_twice_is_cleaned_once(tmp_path, denoise):
    draw(tmp_path / "in" / "a.png")
    code, out, _ = denoise(
        Trained(Darker(), channels=3), tmp_path / "in", tmp_path / "in" / "a.png", "-o", tmp_path / "out"
    )
    assert code == 0
    assert out.endswith("1 of 1 photos cleaned\n")


def test_a_folder_that_is_no_run_is_refused(tmp_path, monkeypatch, capsys):
    def refuse(run: Path) -> None:
        raise ConfigError(f"{run} is no finished denoising run")

    monkeypatch.setattr("wconv.experiment.inference.load.load_denoiser", refuse)
    draw(tmp_path / "a.png")
    assert script.main(["somewhere", str(tmp_path / "a.png"), "-o", str(tmp_path / "b.png")]) == 2
    assert capsys.readouterr().err == "denoise: somewhere is no finished denoising run\n"


def test_words_may_stand_around_the_options(tmp_path, denoise):
    draw(tmp_path / "a.png")
    assert denoise(Trained(Darker(), channels=3), "-o", tmp_path / "out", tmp_path / "a.png")[0] == 0


@pytest.mark.parametrize("words", [["run"], ["--checkpoint", "net.pth"]])
def test_a_picture_has_to_be_named(words, capsys, tmp_path):
    with pytest.raises(SystemExit) as caught:
        script.main([*words, "-o", str(tmp_path / "out")])
    assert caught.value.code == 2
    assert "required" in capsys.readouterr().err


def test_help_says_that_a_denoiser_knows_one_noise(capsys):
    with pytest.raises(SystemExit):
        script.main(["--help"])
    assert "the results are poor" in capsys.readouterr().out


@pytest.mark.parametrize("name", [os.fsdecode(b"caf\xe9"), "line\nbreak", "\x1b[31mred"])
def test_names_of_any_bytes_are_shown_as_text(tmp_path, name):
    """On a real standard output, which takes no undecodable bytes."""
    draw(tmp_path / "in" / name / f"{name}.png")
    draw(tmp_path / "in" / name / f"{name}.gif")
    (tmp_path / "in" / f"{name}.png").write_text("no picture")
    code = f"""
import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "scripts")!r}]
import denoise
from wconv.experiment.inference import load
from tests.scripts.denoisers import Darker, Trained
load.load_denoiser = lambda run: Trained(Darker(), channels=3)
sys.exit(denoise.main(["run", *sys.argv[1:]]))
"""
    words = [sys.executable, "-c", code, tmp_path / "in", "-o", tmp_path / "out"]
    done = subprocess.run(words, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"})
    shown = name.encode("utf-8", "backslashreplace").decode().replace("\n", r"\n").replace("\x1b", r"\x1b")
    out, err = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == 1
    assert len(out.splitlines()) == 3
    assert f"{tmp_path}/in/{shown}/{shown}.png -> {tmp_path}/out/{shown}/{shown}.png\n" in out
    assert out.endswith("1 of 2 photos cleaned, 1 failed\n")
    warning, failure = err.splitlines()
    assert warning.startswith(f"warning: {tmp_path}/in: images of formats that are not read are passed over (1 .gif)")
    assert failure.startswith(f"denoise: {tmp_path}/in/{shown}.png cannot be read as a picture")
    assert (tmp_path / "out" / name / f"{name}.png").is_file()
