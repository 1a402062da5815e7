"""compare.py with several seeds, with folders of every kind, with a thousand of them, and with wrong options."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
RUN = next((ROOT / "results" / "cifar100_small" / "runs").glob("vgg-standard-*"))
CONFIG = yaml.safe_load((RUN / "config.yaml").read_text())
RESULTS = {key: value for key, value in json.loads((RUN / "results.json").read_text()).items() if key != "sha256"}
IMPORTED = ROOT / "scripts" / "compare.py"


def make(folder: Path, conv: str = "standard", seed: int = 0, accuracy: float = 0.7, **results: object) -> Path:
    """Make a run folder of full size."""
    folder.mkdir(parents=True)
    config = CONFIG | {
        "seed": seed,
        "conv": {"name": conv},
        "optimizer": CONFIG["optimizer"] | results.pop("optimizer", {}),
    }
    (folder / "config.yaml").write_text(yaml.dump(config, Dumper=yaml.CSafeDumper))
    measured = {"test/acc": accuracy, "test/acc_top5": 0.9, "val/acc": accuracy}
    content = RESULTS | {"conv": conv, "seed": seed, "metrics": measured} | results
    (folder / "results.json").write_text(json.dumps(content))
    return folder


def compare(*arguments: object, warnings: str = "error") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", warnings, str(IMPORTED), *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_what_is_sound_is_used_and_the_rest_is_listed_with_the_reason(tmp_path: Path) -> None:
    for seed, step in enumerate((0.01, 0.012, 0.011)):
        make(tmp_path / f"standard-{seed}", seed=seed, accuracy=0.7)
        make(tmp_path / f"weighted-{seed}", "weighted", seed, 0.7 + step)
    make(tmp_path / "running", seed=3, status="running")
    make(tmp_path / "failed", seed=4, status="failed", error="RuntimeError: no memory")
    make(tmp_path / "diverged", "weighted", 5, status="failed", diverged=True, error="the loss is nan")
    make(tmp_path / "partner", seed=5)
    (tmp_path / "empty").mkdir()
    (make(tmp_path / "damaged") / "results.json").write_text('{"status": "compl')
    (make(tmp_path / "unsealed") / "config.yaml").write_text("- a list")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "results.json").write_text('{"accuracy": [1, 2, 3]}')

    done = compare(tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    for name, reason in {
        "running": "running",
        "failed": "failed (RuntimeError: no memory)",
        "damaged": "unreadable (results.json is not JSON",
        "unsealed": "unreadable (config.yaml holds no keys",
        "foreign": "unreadable (results.json lacks 'status'",
    }.items():
        assert f"- Not in the table: {tmp_path / name}: {reason}" in done.stdout
    assert f"- Diverged, in no mean: {tmp_path / 'diverged'} (seed 5)" in done.stdout
    assert done.stdout.endswith(
        "- weighted: 1.1 points better (95 % CI 0.9 to 1.3, 3 seeds); left out: seed 5 (diverged)\n"
    )
    assert "nan" not in done.stdout.replace("the loss is nan", "")


@pytest.mark.parametrize("seeds", [1, 2, 3, 7])
@pytest.mark.parametrize("constant", ["all", "one arm", "difference"])
def test_equal_seeds_and_constant_metrics_give_neither_a_warning_nor_nan(
    tmp_path: Path, seeds: int, constant: str
) -> None:
    for seed in range(seeds):
        make(tmp_path / f"s{seed}", seed=seed, accuracy=0.7 + 0.001 * seed * (constant == "difference"))
        step = {"all": 0.0, "one arm": 0.002 * seed, "difference": 0.01 + 0.001 * seed}[constant]
        make(tmp_path / f"w{seed}", "weighted", seed, 0.7 + step)
    files = [f"--{kind}={tmp_path / kind}" for kind in ("markdown", "csv", "latex")]

    done = compare(tmp_path, "--against", "conv=standard", *files)

    assert (done.returncode, done.stderr) == (0, "")
    assert "nan" not in done.stdout + "".join((tmp_path / kind).read_text() for kind in ("markdown", "csv", "latex"))
    said = done.stdout.splitlines()[-1]
    assert said.startswith("- weighted")
    if seeds == 1:
        assert "which may be chance" in said
    elif constant == "all":
        assert said == f"- weighted: no difference: equal with each of {seeds} seeds"
    elif constant == "difference":
        assert f"1.0 points better with each of {seeds} seeds alike" in said


def test_single_runs_have_no_statistics_unless_they_are_asked_for(tmp_path: Path) -> None:
    make(tmp_path / "s")
    make(tmp_path / "w", "weighted", accuracy=0.71)
    said = compare(tmp_path).stdout
    assert "Against" not in said
    assert "with one seed per row there are no statistics; train several seeds, or add --against conv=standard" in said
    assert compare(tmp_path, "--against", "conv=standard").stdout.endswith(
        "1.0 points better with 1 seed, which may be chance\n"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--margin", "0"], "a margin of 0 points: choose one above zero"),
        (["--margin=-1"], "a margin of -1 points"),
        (["--margin", "nan"], "a margin of nan points"),
        (["--margin", "inf"], "a margin of inf points"),
        (["--against", "conv=nobody"], "--against conv=nobody: no run is that; conv is standard, weighted"),
        (["--against", "conv=standard", "--by", "optimiser.lr"], "no run has a key optimiser.lr; did you mean"),
        (["--best-of", "optimizer.rate"], "no run has a key optimizer.rate; did you mean"),
    ],
)
def test_wrong_options_exit_2_in_one_sentence(tmp_path: Path, options: list[str], message: str) -> None:
    for conv in ("standard", "weighted"):
        make(tmp_path / conv, conv)
    done = compare(tmp_path, *options)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"compare: {message}")


def test_a_margin_without_anything_to_compare_exits_2(tmp_path: Path) -> None:
    done = compare(make(tmp_path / "w", "weighted"), "--margin", "1")
    assert done.returncode == 2
    assert "no two rows are compared" in done.stderr


def test_nothing_to_compare_with_is_said(tmp_path: Path) -> None:
    for conv in ("weighted", "trainable"):
        for seed in (0, 1):
            make(tmp_path / f"{conv}{seed}", conv, seed)
    last = compare(tmp_path).stdout.splitlines()[-1]
    assert "takes completed runs of conv=standard and of another arm, or --against" in last


def test_a_thousand_run_folders_take_less_than_5_seconds(tmp_path: Path) -> None:
    for rate in range(50):
        for seed in range(10):
            for conv in ("standard", "weighted"):
                accuracy = 0.7 + 0.001 * ((7 * seed + 3 * rate + len(conv)) % 10)
                make(tmp_path / f"{conv}-{rate}-{seed}", conv, seed, accuracy, optimizer={"lr": 0.01 * (rate + 1)})
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = compare(tmp_path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stdout.count(": weighted") >= 50
    # Of the processor, which is what it takes on a machine that does nothing else.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 5


def test_libraries_are_loaded_where_there_is_something_to_compute(tmp_path: Path) -> None:
    def loaded(*arguments: object) -> set[str]:
        code = (
            "import sys, runpy; sys.argv = ['compare.py', *sys.argv[1:]]\n"
            f"try: runpy.run_path({str(IMPORTED)!r}, run_name='__main__')\n"
            "except SystemExit: print(*{name.split('.')[0] for name in sys.modules}, file=sys.stderr)"
        )
        command = [sys.executable, "-c", code, *map(str, arguments)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        return set(subprocess.run(command, capture_output=True, text=True, env=environment).stderr.split())

    heavy = {"scipy", "statsmodels", "matplotlib", "torch", "omegaconf"}
    assert not loaded(ROOT / "results" / "cifar100_small" / "runs") & heavy
    for seed in (0, 1):
        for conv in ("standard", "weighted"):
            make(tmp_path / f"{conv}{seed}", conv, seed, 0.7 + 0.01 * seed * (conv == "weighted"))
    assert loaded(tmp_path) & heavy == {"scipy", "statsmodels"}
