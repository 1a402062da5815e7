from collections.abc import Callable
from pathlib import Path

from wconv.experiment.reports.comparison import Comparison
from wconv.experiment.reports.tables import to_markdown
from wconv.experiment.runs.saved_runs import find_runs

MakeRun = Callable[..., Path]
POOLED = {"test/psnr": 28.5, "test/ssim": 0.81, "test/noisy_psnr": 20.17, "val/psnr": 28.0}
DNCNN = {"model": {"name": "dncnn"}, "task": {"name": "denoising", "sigma": 25.0, "seed": 0}}


def header(text: str) -> list[str]:
    return [cell.strip() for cell in text.splitlines()[0].strip("|").split("|")]


def test_a_single_set_has_its_means_beside_the_noisy_ones(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("a", metrics=POOLED, config=DNCNN)
    text = to_markdown(Comparison(find_runs([tmp_path])))
    assert header(text)[-4:-1] == ["noisy PSNR (dB)", "test PSNR (dB)", "test SSIM"]
    assert "| 20.17 |" in " ".join(text.split()).replace("|", " | ").replace("  ", " ")
    assert "28.50" in text
    assert "0.8100" in text


def test_of_several_sets_each_has_its_columns_and_the_mixture_has_none(tmp_path: Path, make_run: MakeRun) -> None:
    of_sets = {"test/bsd68/psnr": 28.4, "test/bsd68/ssim": 0.8, "test/set12/psnr": 29.5, "test/set12/noisy_psnr": 20.16}
    make_run("a", metrics=POOLED | of_sets, config=DNCNN)
    runs = find_runs([tmp_path])
    text = to_markdown(Comparison(runs))
    assert {"bsd68 PSNR (dB)", "bsd68 SSIM", "set12 PSNR (dB)", "set12 noisy PSNR (dB)"} <= set(header(text))
    assert "test PSNR (dB)" not in header(text)
    assert "28.40" in text
    assert "29.50" in text
    assert "28.50" not in text
    assert "test/psnr mean" in Comparison(runs).table


def test_tiles_that_are_an_approximation_are_said(tmp_path: Path, make_run: MakeRun) -> None:
    whole = make_run("whole", metrics=POOLED, config=DNCNN)
    tiled = make_run("tiled", metrics=POOLED | {"test/tiled": 3.0}, conv="weighted", config=DNCNN)
    text = to_markdown(Comparison(find_runs([tmp_path])))
    assert f"{tiled}: 3 test images were denoised in tiles" in text
    assert str(whole) not in text
    assert "tiled" not in " ".join(header(text))


def test_the_seed_of_the_noise_does_not_tell_runs_apart(tmp_path: Path, make_run: MakeRun) -> None:
    for seed in (0, 1):
        config = DNCNN | {"task": {"name": "denoising", "sigma": 25.0, "seed": seed}}
        make_run(f"s{seed}", seed=seed, metrics=POOLED, config=config)
    assert list(Comparison(find_runs([tmp_path])).table["n"]) == [2]
