"""Cleaning pictures on the command line, with models that are easy to check in place of a trained one."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from models.dncnn import DnCNN
from scripts import denoise as script
from tests.tiny import CommandResult
from wconv.experiment.common.exceptions import ConfigError

ROOT = Path(__file__).resolve().parents[2]


class Darker(nn.Module):
    """Halves, and reaches so many pixels far as it says: 0 is exact in tiles, None is not known."""

    def __init__(self, context: int | None = 0, factor: float = 0.5) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))
        self.context = context
        self.seen: list[tuple[int, ...]] = []

    def forward(self, noisy: Tensor) -> Tensor:
        self.seen.append(tuple(noisy.shape))
        return noisy * self.factor


@dataclass
class Trained:
    model: nn.Module
    channels: int = 1
    sigma: float = 25.0
    max_pixels: int = 1 << 22
    name: str = "darker, standard"


@pytest.fixture
def denoise(monkeypatch, run_main):
    """Call the command with a denoiser, and return its exit code, stdout and stderr."""

    def call(trained: Trained, *arguments: object) -> CommandResult:
        monkeypatch.setattr("wconv.experiment.inference.load.load_denoiser", lambda run: trained)
        return run_main(script.main, "run", *arguments)

    return call


def draw(path: Path, mode: str = "RGB", size: tuple[int, int] = (10, 6)) -> np.ndarray:
    bands = len(Image.new(mode, (1, 1)).getbands())
    values = np.random.default_rng(0).integers(0, 256, (size[1], size[0], bands), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.frombytes(mode, size, values.tobytes()).save(path)
    return values.squeeze()


def load(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_a_folder_is_cleaned_as_it_lies(tmp_path, denoise):
    old = draw(tmp_path / "in" / "a.png")
    draw(tmp_path / "in" / "deep" / "b.PNG")
    draw(tmp_path / "in" / ".hidden" / "c.png")
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    code, out, err = denoise(Trained(Darker(), channels=3), tmp_path / "in", "-o", tmp_path / "out")
    assert (code, err) == (0, "")
    found = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
    assert found == ["a.png", "deep/b.PNG"]
    assert np.array_equal(load(tmp_path / "out" / "a.png"), np.round(old / 255 * 0.5 * 255).astype(np.uint8))
    assert out.splitlines()[0] == "darker, standard: trained for noise of sigma 25"
    assert f"{tmp_path / 'in' / 'a.png'} -> {tmp_path / 'out' / 'a.png'}\n" in out
    assert out.endswith("2 of 2 pictures cleaned\n")


def test_results_of_the_last_call_are_not_cleaned_again(tmp_path, denoise):
    draw(tmp_path / "a.png")
    for _ in range(2):
        assert denoise(Trained(Darker(), channels=3), tmp_path, "-o", tmp_path / "out")[0] == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]


def test_alpha_stays_and_sixteen_bits_are_used(tmp_path, denoise):
    old = draw(tmp_path / "a.png", "RGBA")
    deep = np.array([[0, 3, 1001, 65535]], dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "b.png")
    denoiser = Trained(Darker())
    assert denoise(denoiser, tmp_path / "a.png", tmp_path / "b.png", "-o", tmp_path / "out")[0] == 0
    assert np.array_equal(load(tmp_path / "out" / "a.png")[..., 3], old[..., 3])
    assert np.abs(load(tmp_path / "out" / "b.png") - deep / 2).max() <= 0.5
    assert load(tmp_path / "out" / "b.png").dtype == np.uint16


@pytest.mark.parametrize(("factor", "expected"), [(3.0, 255), (-1.0, 0)])
def test_what_leaves_the_range_is_cut_off(tmp_path, denoise, factor, expected):
    Image.new("L", (4, 4), 200).save(tmp_path / "a.png")
    denoise(Trained(Darker(factor=factor)), tmp_path / "a.png", "-o", tmp_path / "b.png")
    assert (load(tmp_path / "b.png") == expected).all()


def test_a_grey_model_takes_colours_one_by_one(tmp_path, denoise):
    draw(tmp_path / "in" / "a.png")
    draw(tmp_path / "in" / "b.png")
    trained = Trained(Darker())
    code, out, _ = denoise(trained, tmp_path / "in", "-o", tmp_path / "out")
    assert code == 0
    assert trained.model.seen == [(1, 1, 6, 10)] * 6
    assert out.count("colours are denoised one by one") == 1
    assert np.abs(load(tmp_path / "out" / "a.png") - load(tmp_path / "in" / "a.png") / 2).max() <= 0.5


def test_a_colour_model_takes_grey_as_three_colours_and_the_mean_comes_back(tmp_path, denoise):
    class Tinted(Darker):
        def forward(self, noisy: Tensor) -> Tensor:
            return super().forward(noisy) * torch.tensor([0.0, 1.0, 2.0]).view(1, 3, 1, 1)

    old = draw(tmp_path / "a.png", "L")
    trained = Trained(Tinted(), channels=3)
    _, out, _ = denoise(trained, tmp_path / "a.png", "-o", tmp_path / "b.png")
    assert trained.model.seen == [(1, 3, 6, 10)]
    assert out.count("three equal colours") == 1
    assert load(tmp_path / "b.png").shape == old.shape
    assert np.abs(load(tmp_path / "b.png") - old / 2).max() <= 0.5


def test_noise_is_of_the_level_and_the_same_every_time(tmp_path, denoise):
    Image.new("L", (200, 200), 128).save(tmp_path / "a.png")
    for name in ("b.png", "c.png"):
        trained = Trained(Darker(factor=1.0))
        assert denoise(trained, tmp_path / "a.png", "-o", tmp_path / name, "--sigma", 20)[0] == 0
    noise = load(tmp_path / "b.png") - 128.0
    assert noise.std() == pytest.approx(20, rel=0.012)
    assert abs(noise.mean()) < 0.5
    assert np.array_equal(load(tmp_path / "b.png"), load(tmp_path / "c.png"))


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_tiles_of_a_dncnn_are_exact_and_small_on_a_cpu(tmp_path, denoise, monkeypatch, mode):
    torch.manual_seed(0)
    model = DnCNN(depth=4, width=4).eval()
    draw(tmp_path / "a.png", mode, (70, 50))
    assert denoise(Trained(model), tmp_path / "a.png", "-o", tmp_path / "whole.png")[0] == 0
    monkeypatch.setattr(sys.modules["wconv.experiment.inference.denoise_photos"], "EXACT_TILE", 24 * 24)
    monkeypatch.setattr(sys.modules["wconv.experiment.inference.denoise_photos"], "LINE_EVERY", 0.0)
    _, out, _ = denoise(Trained(model), tmp_path / "a.png", "-o", tmp_path / "tiles.png")
    assert np.array_equal(load(tmp_path / "whole.png"), load(tmp_path / "tiles.png"))
    counts = [line.split()[1:4] for line in out.splitlines() if line.endswith(" tiles")]
    total = int(counts[-1][2])
    assert counts == [[str(done), "of", str(total)] for done in range(1, total + 1)]
    assert total > 3
    assert "approximate" not in out


def test_approximate_tiles_are_said(tmp_path, denoise):
    draw(tmp_path / "in" / "large.png", size=(150, 150))
    draw(tmp_path / "in" / "small.png")
    trained = Trained(Darker(context=None), channels=3, max_pixels=100 * 100)
    _, out, _ = denoise(trained, tmp_path / "in", "-o", tmp_path / "out")
    assert "large.png (in tiles, which changes it a little)" in out
    assert out.endswith("2 of 2 pictures cleaned, 1 of them in approximate tiles\n")


def test_approximate_tiles_are_small_and_what_fits_stays_whole(tmp_path, denoise, monkeypatch):
    monkeypatch.setattr(sys.modules["wconv.experiment.inference.denoise_photos"], "APPROXIMATE_TILE", 80 * 80)
    draw(tmp_path / "in" / "a.png", size=(100, 100))
    draw(tmp_path / "in" / "b.png", size=(150, 150))
    trained = Trained(Darker(context=None), channels=3, max_pixels=100 * 100)
    denoise(trained, tmp_path / "in", "-o", tmp_path / "out")
    whole, *tiles = trained.model.seen
    assert whole == (1, 3, 100, 100)
    assert len(tiles) > 4
    assert all(height * width <= 96 * 96 for _, _, height, width in tiles)  # the overlap is 32 on each side


def test_a_broken_picture_is_named_and_the_rest_goes_on(tmp_path, denoise):
    draw(tmp_path / "in" / "c.png")
    (tmp_path / "in" / "a.png").write_text("no picture")
    Image.new("L", (4, 4)).save(tmp_path / "in" / "b.tif", save_all=True, append_images=[Image.new("L", (4, 4))])
    code, out, err = denoise(Trained(Darker(), channels=3), tmp_path / "in", "-o", tmp_path / "out")
    assert code == 1
    first, second = err.splitlines()
    assert first.startswith(f"denoise: {tmp_path / 'in' / 'a.png'} cannot be read")
    assert "b.tif holds 2 frames or pages" in second
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["c.png"]
    assert out.endswith("1 of 3 pictures cleaned, 2 failed\n")


def test_a_model_without_numbers_writes_nothing(tmp_path, denoise):
    draw(tmp_path / "a.png", "L")
    code, _, err = denoise(Trained(Darker(factor=float("nan"))), tmp_path / "a.png", "-o", tmp_path / "b.png")
    assert code == 1
    assert "a.png could not be denoised (the model returned NaN or infinite values)" in err
    assert not (tmp_path / "b.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.png", "-o", "out"], "nowhere.png does not exist; name pictures"),
        (["empty", "-o", "out"], "empty holds no picture"),
        (["a.png", "-o", "a.png"], "would replace the input a.png"),
        (["a.png", "-o", "."], "would replace the input a.png"),
        (["a.png", "-o", "link.png"], "would replace the input link.png; choose another"),
        ([".", "-o", "."], "would replace the input a.png"),
        (["a.png", "-o", "hard.png"], "would replace the input hard.png; choose another"),
        (["a.png", "-o", "b.jpg"], "b.jpg would be a file like a.png; give it the ending '.png' too"),
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
    assert out.endswith("1 of 1 pictures cleaned\n")


def test_a_folder_that_is_no_run_is_refused(tmp_path, monkeypatch, capsys):
    def refuse(run: Path) -> None:
        raise ConfigError(f"{run} is no finished denoising run")

    monkeypatch.setattr("wconv.experiment.inference.load.load_denoiser", refuse)
    draw(tmp_path / "a.png")
    assert script.main(["somewhere", str(tmp_path / "a.png"), "-o", str(tmp_path / "b.png")]) == 2
    assert capsys.readouterr().err == "denoise: somewhere is no finished denoising run\n"


def test_a_file_of_weights_cleans_as_it_computes(tmp_path, capsys):
    torch.manual_seed(0)
    model = DnCNN(1, 3, 4).eval()
    torch.save(
        {"params_ema": {f"module.{name}": value for name, value in model.state_dict().items()}}, tmp_path / "net"
    )
    old = draw(tmp_path / "a.png", "L")
    for order in (["--checkpoint", "net", "a.png", "-o", "b.png"], ["a.png", "-o", "b.png", "--checkpoint", "net"]):
        arguments = [str(tmp_path / word) if word in ("net", "a.png", "b.png") else word for word in order]
        assert script.main(arguments) == 0
        out, err = capsys.readouterr()
        assert err == ""
        assert out.splitlines()[0].startswith(f"{tmp_path / 'net'}: DnCNN of channels 1, depth 3, width 4")
        assert out.splitlines()[1] == "the file does not say for which noise it was trained"
        with torch.inference_mode():
            expected = model(torch.from_numpy(old / np.float32(255))[None, None]).clamp(0, 1).mul(255).round()
        assert np.array_equal(load(tmp_path / "b.png"), expected[0, 0].numpy().astype(np.uint8))
        (tmp_path / "b.png").unlink()


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
from tests.scripts.test_denoise import Darker, Trained
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
    assert out.endswith("1 of 2 pictures cleaned, 1 failed\n")
    warning, failure = err.splitlines()
    assert warning.startswith(f"warning: {tmp_path}/in: images of formats that are not read are passed over (1 .gif)")
    assert failure.startswith(f"denoise: {tmp_path}/in/{shown}.png cannot be read as a picture")
    assert (tmp_path / "out" / name / f"{name}.png").is_file()


def test_fast_is_bfloat16(tmp_path, denoise):
    class Typed(Darker):
        def forward(self, noisy: Tensor) -> Tensor:
            types.append(torch.nn.functional.conv2d(noisy, torch.ones(1, 1, 1, 1)).dtype)
            return super().forward(noisy)

    draw(tmp_path / "a.png", "L")
    types: list[torch.dtype] = []
    for options in ((), ("--fast",)):
        assert denoise(Trained(Typed()), tmp_path / "a.png", "-o", tmp_path / "out", *options)[0] == 0
    assert types == [torch.float32, torch.bfloat16]
