"""The W&B workspace as code, without a network."""

import json
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

from scripts import wandb_dashboard
from wconv.experiment.runs import arm_styles

ROOT = Path(__file__).resolve().parents[2]


def panels(workspace: dict) -> dict[str, list[dict]]:
    sections = workspace["spec"]["section"]["panelBankConfig"]["sections"]
    return {section["name"]: [panel["config"] for panel in section["panels"]] for section in sections}


@pytest.fixture
def printed(capsys, monkeypatch):
    """Return what --json prints, with nowhere to go."""
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)

    def call(*options: str) -> dict:
        assert wandb_dashboard.main(["--json", *options]) == 0
        return json.loads(capsys.readouterr().out)

    return call


def test_it_shows_results_curves_densities_cost_and_images(printed):
    shown = panels(printed())
    results, curves, densities, cost, images = shown.values()
    assert {name for panel in results for name in panel["metrics"]} >= {
        "summary_metrics.test/acc",
        "summary_metrics.test/psnr",
        "summary_metrics.val/acc.max",
    }
    assert all(panel["groupAgg"] == "mean" for panel in results[:-1] + curves)
    assert all(panel["groupArea"] == "stddev" and panel["xAxis"] == "epoch" for panel in curves)
    assert densities[0]["metricRegex"] == "density/.*/0"
    assert densities[0]["useMetricRegex"] is True
    assert "summary_metrics.time/seconds" in cost[0]["metrics"]
    assert ["test/DIV2K_valid_HR"] in [panel.get("mediaKeys") for panel in images]
    assert "test/images" in json.dumps(images[-1])


def test_runs_are_grouped_so_that_seeds_are_averaged(printed):
    def groups(workspace: dict) -> list[str]:
        return [key["name"] for key in workspace["spec"]["section"]["runSets"][0]["grouping"]]

    assert groups(printed()) == ["model.value.name", "conv.value.name", "init.value.name"]
    assert groups(printed("--by", "model.name", "optimizer.lr")) == ["model.value.name", "optimizer.value.lr"]


def colours(workspace: dict) -> dict[tuple[str, ...], str]:
    """Return the colour of each group, by the names on the way to it."""
    section = workspace["spec"]["section"]
    found = {}
    for key, colour in section["customRunColors"].items():
        prefix, runs, path = key.split(":")
        assert (prefix, json.loads(unquote(runs))) == ("run-color-group", section["runSets"][0]["id"])
        entries = json.loads(unquote(path))
        names = [entry["key"] for entry in entries]
        grouping = [f"{key['section']}:{key['name']}" for key in section["runSets"][0]["grouping"]]
        assert names == grouping[: len(names)]
        found[tuple(entry["value"] for entry in entries)] = colour
    return found


def test_every_arm_has_the_colour_of_the_figures(printed):
    found = colours(printed())
    assert found["vgg", "weighted", "kaiming"] == found["dncnn", "weighted"] == "#D55E00"
    assert found["nafnet", "standard", "pytorch"] == "#0072B2"
    models = len(list((ROOT / "configs" / "model").glob("*.yaml")))
    entries = {(arm.name,): arm.colour for arm in arm_styles.ARMS}
    assert len(found) == models * len(entries) * (1 + 2)  # the arm itself, or one of its two initialisations
    assert found["vgg", "start + decay"] == entries["start + decay",]
    assert colours(printed("--by", "conv.name", "optimizer.lr")) == entries
    assert colours(printed("--by", "optimizer.lr", "conv.name")) == {}


def test_runs_that_diverged_are_counted(printed):
    results = panels(printed())["Result by model and convolution"]
    (panel,) = [panel for panel in results if panel["metrics"] == ["summary_metrics.diverged"]]
    assert panel["groupAgg"] == "sum"


def test_options_choose_what_is_shown(printed):
    workspace = printed("--entity", "us", "--project", "other", "--name", "mine", "--sweep", "night", "--sets", "bsd68")
    assert (workspace["entity"], workspace["project"], workspace["displayName"]) == ("us", "other", "mine")
    (condition,) = workspace["spec"]["section"]["runSets"][0]["filters"]["filters"]
    assert (condition["key"]["name"], condition["op"], condition["value"]) == ("group", "=", "night")
    assert [panel.get("mediaKeys") for panel in panels(workspace)["Denoised images"]] == [["test/bsd68"], None]


def test_saving_without_a_key_is_refused_in_one_sentence(program):
    done = program("scripts/wandb_dashboard.py", WANDB_BASE_URL="http://127.0.0.1:9")
    assert "there is no key (WANDB_API_KEY, or wandb login); --json prints it" in done.refusal()


def test_without_its_package_it_says_what_to_install(monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith("wandb_workspaces")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "wconv.experiment.reports.wandb.dashboard", raising=False)
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    assert wandb_dashboard.main(["--json"]) == 2
    assert 'pip install -e ".[experiment,dashboard]"' in capsys.readouterr().err
