"""Whole searches of tiny runs, what they refuse, and what becomes of one that fails."""

import json
import os
import re

import pandas as pd
import pytest
import yaml

from scripts.search import main
from wconv.experiment.common.exceptions import RunError
from wconv.experiment.runs.lock import acquire_lock
from wconv.experiment.runs.result import Result
from wconv.experiment.search import objective
from wconv.experiment.search.gradient import average
from wconv.experiment.search.scope import Part
from wconv.experiment.search.settings import load_settings


def history(tmp_path) -> pd.DataFrame:
    (file,) = tmp_path.glob("runs/searches/*/history.csv")
    return pd.read_csv(file, dtype={"run": str})


@pytest.fixture
def trained(monkeypatch, tmp_path):
    """Put a function of the density in the place of trainings; what was trained is listed."""
    calls = []

    def fake(words):
        calls.append(list(words))
        chosen = dict(word.partition("=")[::2] for word in words)
        density = json.loads(chosen["conv.density.k3"])[0] if "conv.density.k3" in chosen else 1.0
        if density in fake.failing:
            raise RunError("the loss is NaN")
        value = 0.9 - (density - 0.9) ** 2 + 0.01 * int(chosen["seed"])
        folder = tmp_path / "runs" / "classification" / f"{density}-s{chosen['seed']}"
        return Result(folder, {"metrics": {"val/acc": value}, "epochs": 1})

    fake.failing, fake.calls = set(), calls
    monkeypatch.setattr(objective, "run", fake)
    return fake


def test_a_walk_is_confirmed_and_then_there_is_nothing_left_to_do(search, tmp_path, monkeypatch):
    done = search("walk", "search.evaluations=2")
    assert done.code == 0, done.err
    assert "noise of a seed: standard deviation" in done.out
    assert "Against conv=standard, paired by seed" in done.out
    table = history(tmp_path)
    assert list(table) == ["evaluation", "k3[0]", "seed", "status", "value", "epochs", "run"]
    assert list(table["k3[0]"]) == [1.0, 1.0, 0.7, 0.7, 0.63, 0.63, 0.77, 0.77]
    assert all((tmp_path / "runs" / run / "results.json").exists() for run in table["run"])
    assert table["run"][0].startswith("classification/vgg-standard-s0-")
    folders = {path.name for path in tmp_path.glob("runs/classification/*")}
    text = next(tmp_path.glob("runs/searches/*/confirmation.md")).read_text()
    assert "Seeds of every row: 5, 6." in text, "seeds that the search has not seen"
    assert "test acc (%)" in text
    assert {name.split("-")[2] for name in folders} == {"s0", "s1", "s5", "s6"}

    monkeypatch.setattr(objective, "run", lambda words: pytest.fail("it was trained again"))
    again = search("walk", "search.evaluations=2")
    assert again.code == 0
    assert text in again.out
    assert {path.name for path in tmp_path.glob("runs/classification/*")} == folders


def test_a_history_that_is_gone_is_made_again_from_the_runs(search, tmp_path):
    search("walk", "search.evaluations=1", options=("--no-confirm",))
    (file,) = tmp_path.glob("runs/searches/*/history.csv")
    before = file.read_bytes()
    file.write_text("damaged")
    results = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/*/results.json")}
    assert search("walk", "search.evaluations=1", options=("--no-confirm",)).code == 0
    assert file.read_bytes() == before
    assert results == {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/*/results.json")}


def test_the_trained_density_is_tried_as_a_fixed_one(search, tmp_path):
    done = search("gradient", "search.seeds=[0]", "search.decimals=3", "search.lr=0.02", options=("--no-confirm",))
    assert done.code == 0, done.err
    assert "NOTHING WAS CONFIRMED" in done.out
    last = history(tmp_path).iloc[-1]
    assert last["evaluation"] == 2
    results = json.loads(next(tmp_path.glob("runs/*/vgg-trainable-*/results.json")).read_text())
    (config,) = tmp_path.glob("runs/*/vgg-trainable-*/config.yaml")
    assert "lr: 0.02" in config.read_text()
    ends = [axis[0] for layer in results["layers"] if layer["density"] for axis in layer["density"]]
    assert last["k3[0]"] == round(sum(ends) / len(ends), 3)


def test_an_average_is_over_the_layers_of_a_part():
    layers = [
        {"name": "a", "kernel_size": [3, 3], "density": [[0.6], [0.8]]},
        {"name": "b", "kernel_size": [3, 3], "density": [[1.0], [1.0]]},
        {"name": "c", "kernel_size": [5, 5], "density": [[0.2, 0.4], [0.2, 0.6]]},
        {"name": "d", "kernel_size": [1, 1], "density": None},
    ]
    assert average(layers, [Part("", "k3"), Part("", "k5")]) == pytest.approx([0.85, 0.2, 0.5])
    assert average(layers, [Part("b", "k3", ("b",))]) == [1.0]


def test_a_search_that_may_try_more_goes_on(search, trained, tmp_path):
    search("grid", "search.points=3", options=("--no-confirm",))
    first = len(trained.calls)
    assert list(history(tmp_path)["k3[0]"].unique()) == [1.0, 0.7, 0.5, 1.5]  # of which the grid has 1.0, too
    search("direct_l", "search.evaluations=4", options=("--no-confirm",))
    used = len(trained.calls) - first
    search("direct_l", "search.evaluations=6", options=("--no-confirm",))
    assert (first, used, len(trained.calls) - first - used) == (8, 12, 4)
    assert len(list(tmp_path.glob("runs/searches/vgg-direct_l-*"))) == 1


def test_an_evaluation_that_fails_is_recorded_and_the_search_goes_on(search, trained, tmp_path):
    trained.failing = {0.5}
    done = search("grid", "search.points=5", options=("--no-confirm",))
    assert done.code == 0, done.err
    assert "the loss is NaN" in done.err
    failed = history(tmp_path).query("status == 'failed'")
    assert list(failed["k3[0]"]) == [0.5]  # with the first seed; the other was not tried
    assert failed["value"].isna().all()
    assert failed["run"].iloc[0].startswith("classification/vgg-weighted-s0-")
    assert "k3[0]=0.75" in done.out


def test_three_failures_in_a_row_stop_a_search(search, trained, tmp_path):
    trained.failing = {0.5, 0.75, 1.25}
    assert search("grid", "search.points=5", options=("--no-confirm",)).code == 1  # 1.0 is no new one between them
    done = search("grid", "search.points=5", options=("--no-confirm",))
    assert done.code == 0, done.err
    trained.failing |= {1.0, 0.7}
    done = search("grid", "search.points=7", options=("--no-confirm",))
    assert done.code == 1
    assert "3 evaluations in a row have failed" in done.err


def test_a_failed_value_counts_as_the_worst(words, trained):
    from wconv.experiment.search.history import History

    settings = load_settings(words("direct_l"))
    settings.folder.mkdir(parents=True)
    trained.failing = {0.5}
    function = objective.Objective(settings, History(settings.folder / "history.csv", ["k3[0]"]), lambda *_: None)
    function.measure_references()
    assert function([0.5]) == max(function([1.0]), function([0.7]))
    assert function([0.90049]) == function([0.9]) == pytest.approx(-0.905)
    assert function([0.9]) < function([1.0])


def test_a_full_disk_is_no_matter_of_the_density(search, monkeypatch, tmp_path):
    def full(words):
        raise RunError("no room is left on the disk") from OSError(28, "No space left on device")

    monkeypatch.setattr(objective, "run", full)
    done = search("walk")
    assert done.code == 1
    assert "no room is left on the disk" in done.err
    assert not list(tmp_path.glob("runs/searches/*/history.csv"))


@pytest.mark.parametrize(
    ("method", "more", "options", "message"),
    [
        ("direct_l", ["search.bounds.k3=[[1.5,0.5]]"], (), "is upside down"),
        ("direct_l", ["search.bounds.k3=[[0.5,0.5]]"], (), "leaves one value"),
        ("direct_l", ["search.bounds.k3=[[0.70001,0.70002]]"], (), "leaves one value, with 3 digits, or none"),
        ("direct_l", ["search.bounds.k3=[0.5,1.5]"], (), r"expected a pair of numbers for each coefficient"),
        ("direct_l", ["search.bounds.k3=[[0.5,.inf]]"], (), "expected finite numbers"),
        ("direct_l", ["search.bounds.k5=[[0.1,1],[0.5,1]]"], (), "search.bounds.k5: the network has no such kernels"),
        ("direct_l", ["conv.density.k3=null"], (), "there is no coefficient to search"),
        ("walk", ["search.metric=val/psnr"], (), "task=classification has val/acc, val/acc_top5, val/loss"),
        ("walk", ["search.metric=test/acc"], (), "a search sees the validation set alone"),
        ("walk", ["search.confirm_seeds=[1,2]"], (), "1 is one of search.seeds"),
        ("walk", ["search.stepp=0.2"], (), "did you mean 'search.step'"),
        ("walk", ["search.step=1.5"], (), "expected a number between 0 and 1"),
        ("walk", ["search.seeds=[]"], (), "a list of different seeds"),
        ("walk", ["search.evaluations=0"], (), "a whole number from 1, or null"),
        ("wal", [], (), "search=wal: choose one of search=direct_l"),
        ("walk", ["seed=3"], (), r"the seeds of a search are search.seeds=\[3\]"),
        ("walk", ["conv=standard"], (), "the arm and its density are what the search finds"),
        ("walk", ["force=true"], (), "a search goes on from the runs that are there"),
        ("walk", ["trainer.devices=2"], (), "have one process each"),
        ("walk", ["optimizer.lrr=1"], (), "did you mean 'optimizer.lr'"),
        ("walk", [], ("--workers", "2"), "search=optuna has workers"),
        ("walk", [], ("--status", "--submit"), "choose one of"),
        ("walk", [], ("--status",), "this search has not been started"),
        ("grid", ["search.evaluations=5"], (), "makes 9 densities"),
        ("optuna", ["search.evaluations=null"], (), "does not end by itself"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(search, method, more, options, message, tmp_path):
    done = search(method, *more, options=options)
    assert done.code == 2
    assert done.err.startswith("search: ")
    assert done.err.count("\n") == 1
    assert re.search(message, done.err)
    assert not list(tmp_path.glob("runs/classification/*"))


def test_without_optuna_one_sentence_says_what_to_install(search, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    done = search("optuna")
    assert done.code == 2
    assert 'pip install -e ".[experiment]"' in done.err


def test_a_folder_of_another_search_is_refused(search, trained, tmp_path):
    search("walk", options=("--no-confirm",))
    (file,) = tmp_path.glob("runs/searches/*/search.yaml")
    content = yaml.safe_load(file.read_text())
    content["search"]["step"] = 0.2
    file.write_text(yaml.safe_dump(content))
    done = search("walk")
    assert done.code == 2
    assert "is that of a search with search.step=0.2, and this one has search.step=0.1" in done.err


def test_of_two_searches_in_one_folder_the_second_names_the_first(search, words, trained):
    folder = load_settings(words("walk")).folder
    folder.mkdir(parents=True)
    with acquire_lock(folder):
        done = search("walk")
    assert done.code == 75
    assert f"is held by process {os.getpid()}" in done.err


def test_data_that_is_missing_ends_a_search_as_it_ends_a_run(tmp_path, capsys):
    assert main(["search=walk", f"paths.data_dir={tmp_path}", f"paths.output_dir={tmp_path / 'runs'}"]) == 2
    assert "cifar-100" in capsys.readouterr().err
    assert not list(tmp_path.glob("runs/searches/*/history.csv"))


def test_status_shows_the_best_what_is_left_and_the_noise(search, trained):
    search("walk", "search.evaluations=6", options=("--no-confirm",))
    done = search("walk", "search.evaluations=6", options=("--status",))
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[1].split()[0] == "k3[0]=0.932"
    assert len([line for line in lines if "k3[0]=" in line or "the " in line]) >= 5
    assert "6 of 6 evaluations done, 0 at work" in done.out
    assert "noise of a seed: standard deviation 0.71 points" in done.out
