"""Cleaning photos on the command line, with models that are easy to check in place of a trained one."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from models.dncnn import DnCNN
from scripts import denoise as script
from tests.scripts.denoisers import Darker, Trained, draw, load


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
    assert out.endswith("2 of 2 photos cleaned\n")


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
    assert out.endswith("2 of 2 photos cleaned, 1 of them approximately, in tiles\n")


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
    assert out.endswith("1 of 3 photos cleaned, 2 failed\n")


def test_a_model_without_numbers_writes_nothing(tmp_path, denoise):
    draw(tmp_path / "a.png", "L")
    code, _, err = denoise(Trained(Darker(factor=float("nan"))), tmp_path / "a.png", "-o", tmp_path / "b.png")
    assert code == 1
    assert "a.png could not be denoised (the model returned NaN or infinite values)" in err
    assert not (tmp_path / "b.png").exists()


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
