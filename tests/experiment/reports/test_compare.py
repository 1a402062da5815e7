import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from wconv.experiment.reports.comparison import Comparison
from wconv.experiment.reports.tables import to_markdown
from wconv.experiment.runs.saved_runs import find_runs, read_run

MakeRun = Callable[..., Path]


def test_mean_and_sample_deviation_over_seeds(tmp_path: Path, make_run: MakeRun) -> None:
    for seed, accuracy in enumerate((0.66, 0.67, 0.70)):
        make_run(f"s{seed}", seed=seed, metrics={"test/acc": accuracy})

    runs = find_runs([tmp_path])
    rows = Comparison(runs).table

    assert len(rows) == 1
    assert rows.loc[0, "n"] == 3
    assert rows.loc[0, "test/acc mean"] == pytest.approx(2.03 / 3)
    # Deviations from the mean are -5/300, -2/300 and 7/300; their squares sum to 78/90000.
    assert rows.loc[0, "test/acc std"] == pytest.approx((78 / 90000 / 2) ** 0.5)
    assert " 67.67 ± 2.08 |" in to_markdown(Comparison(runs))
    assert "Seeds: 0, 1, 2." in to_markdown(Comparison(runs))
    assert "not known" not in to_markdown(Comparison(runs))


def test_one_seed_has_no_spread(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("one")

    runs = find_runs([tmp_path])

    assert pd.isna(Comparison(runs).table.loc[0, "test/acc std"])
    text = to_markdown(Comparison(runs))
    assert " 66.94 |" in text
    assert "±" not in text
    assert "With n = 1 the spread over seeds is not known" in text


def test_rows_with_different_seeds_are_said_to_be(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("a", seed=0)
    make_run("b", seed=1)
    make_run("c", seed=0, conv="weighted")

    text = to_markdown(Comparison(find_runs([tmp_path])))

    assert "The rows rest on different seeds: 1 or 2 each." in text


def test_columns_are_what_differs(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("on")
    make_run("off", config={"model.batch_norm": False, "optimizer.lr": 0.05})
    where = {"datamodule.data_dir": "elsewhere", "trainer.accelerator": "cpu", "trainer.enable_progress_bar": False}
    make_run("on-too", seed=1, config=where)

    rows = Comparison(find_runs([tmp_path])).table

    described = list(rows.columns[: list(rows.columns).index("n")])
    assert described == ["model", "conv", "init", "density", "batch_norm", "lr"]
    assert rows["batch_norm"].tolist() == [True, False]
    assert rows["n"].tolist() == [2, 1]


def test_optimizers_are_told_apart_by_name_alone(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("sgd")
    adam = {"_target_": "torch.optim.AdamW", "_partial_": True, "lr": 0.1, "betas": [0.9, 0.999]}
    make_run("adam", config={"optimizer": adam})

    rows = Comparison(find_runs([tmp_path])).table

    assert rows["optimizer"].tolist() == ["adamw", "sgd"]
    assert not {"betas", "momentum", "optimizer._target_"} & set(rows.columns)


def test_a_key_that_only_one_run_has_is_shown_when_nothing_else_differs(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("old")
    make_run("new", config={"model.head": "mlp"})

    assert sorted(Comparison(find_runs([tmp_path])).table["head"]) == ["-", "mlp"]


def test_ambiguous_short_names_are_dotted(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("a", config={"model.width": 1, "datamodule.width": 3})
    make_run("b", config={"model.width": 2, "datamodule.width": 3, "datamodule.mean": None})

    rows = Comparison(find_runs([tmp_path])).table

    assert rows["model.width"].tolist() == [1, 2]
    assert rows["datamodule.mean"].tolist() == ["[0.5, 0.4]", "null"]


def test_density_is_the_one_the_layers_have(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("standard")
    make_run("weighted", conv="weighted")
    make_run("weighted9", conv="weighted", k3=0.9)
    make_run("scaled", conv="scaled_init")
    # Not used by any 3x3 or 1x1 layer, so these two are one configuration.
    unused = {"name": "weighted", "density": {"k3": [0.7], "k5": [0.1, 0.1]}}
    make_run("unused", conv="weighted", seed=1, config={"conv": unused})

    rows = Comparison(find_runs([tmp_path])).table

    described = rows[["conv", "density", "n"]].to_numpy().tolist()
    assert described == [
        ["standard", "-", 1],
        ["weighted", "k3 0.7", 2],
        ["weighted", "k3 0.9", 1],
        ["scaled_init", "k3 0.7", 1],
    ]


def test_density_of_several_sizes_and_axes(make_run: MakeRun) -> None:
    layers = [
        {"name": "a", "kernel_size": [5, 5], "density": [[0.2, 0.8], [0.2, 0.8]]},
        {"name": "b", "kernel_size": [3, 5], "density": [[0.7], [0.2, 0.8]]},
    ]

    run = read_run(make_run("w", conv="weighted", results={"layers": layers}))

    assert run.features["density"] == "k3x5 0.7 x 0.2, 0.8; k5 0.2, 0.8"


def test_order_pairs_standard_with_weighted(tmp_path: Path, make_run: MakeRun) -> None:
    for init in ("pytorch", "kaiming"):
        for norm in (False, True):
            for conv in ("weighted", "standard"):
                make_run(f"{init}{norm}{conv}", conv=conv, init=init, config={"model.batch_norm": norm})

    rows = Comparison(find_runs([tmp_path])).table
    backwards = Comparison(reversed(find_runs([tmp_path]))).table

    assert rows["conv"].tolist() == ["standard", "weighted"] * 4
    assert rows["init"].tolist() == ["kaiming", "kaiming", "pytorch", "pytorch"] * 2
    assert rows["batch_norm"].tolist() == [True] * 4 + [False] * 4
    pd.testing.assert_frame_equal(rows, backwards)


def test_denoising_metrics(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("a", metrics={"test/psnr": 29.226, "test/ssim": 0.82839, "test/loss": 0.1})

    text = to_markdown(Comparison(find_runs([tmp_path])))

    assert "test PSNR (dB) |   test SSIM |   parameters |" in text
    assert " 29.23 |      0.8284 |          100 |" in text
    assert "acc" not in text


def test_what_is_not_completed_is_named_below(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("good")
    make_run("failed", seed=1, results={"status": "failed", "error": "RuntimeError: no memory"})
    make_run("stopped", seed=2, results={"status": "interrupted"})
    (make_run("corrupt", seed=3) / "results.json").write_text('{"status": "compl')
    (make_run("list", seed=4) / "results.json").write_text("[]")
    lacking = make_run("lacking", seed=5) / "results.json"
    lacking.write_text(json.dumps({k: v for k, v in json.loads(lacking.read_text()).items() if k != "metrics"}))
    (make_run("bare", seed=6) / "config.yaml").unlink()
    (make_run("broken", seed=7) / "config.yaml").write_text("a: [")

    runs = find_runs([tmp_path])
    lines = to_markdown(Comparison(runs)).splitlines()

    assert Comparison(runs).table["n"].tolist() == [1]
    for name, reason in {
        "failed": "failed (RuntimeError: no memory)",
        "stopped": "interrupted",
        "corrupt": "unreadable (results.json is not JSON",
        "list": "unreadable (results.json holds no JSON object)",
        "lacking": "unreadable (results.json lacks 'metrics')",
        "bare": "unreadable (config.yaml: No such file or directory)",
        "broken": "unreadable (",
    }.items():
        start = f"- Not in the table: {tmp_path / name}: {reason}"
        assert sum(line.startswith(start) for line in lines) == 1, name


def test_a_run_found_twice_counts_once(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("runs/a")
    make_run("runs/deep/er/b", seed=1)
    (tmp_path / "link").symlink_to(tmp_path / "runs" / "a")

    runs = find_runs([tmp_path / "runs", tmp_path / "runs" / "a", tmp_path / "link"])

    assert [run.folder.name for run in runs] == ["a", "b"]


def test_the_same_run_made_twice(tmp_path: Path, make_run: MakeRun) -> None:
    first = make_run("a", metrics={"test/acc": 0.5})
    make_run("b", metrics={"test/acc": 0.5})

    assert Comparison(find_runs([tmp_path])).table["n"].tolist() == [1]
    assert "other metrics" not in to_markdown(Comparison(find_runs([tmp_path])))

    odd = make_run("c", metrics={"test/acc": 0.6})
    runs = find_runs([tmp_path])
    assert Comparison(runs).table["test/acc mean"].tolist() == [0.5]
    note = f"Same configuration and seed 0, other metrics: {first} is counted, {odd} is not."
    assert note in to_markdown(Comparison(runs))


def test_a_run_from_before_a_key_was_added_is_of_one_row_with_later_ones(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("before", seed=0)
    make_run("after", seed=1, config={"optimizer.amsgrad": False, "new": {"off": None, "at": 0}})
    make_run("changed", seed=2, config={"optimizer.amsgrad": True})

    assert sorted(Comparison(find_runs([tmp_path])).table["n"]) == [1, 2]
