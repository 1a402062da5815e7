"""Run folders that somebody made to attack: nothing of theirs is executed, nothing outside is touched, exit code 2."""

import contextlib
import os
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from scripts import compare, crops, denoise, evaluate
from tests.tiny import SMALL_DENOISER, CommandResult, command_line
from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.inference.load import load_denoiser


@pytest.fixture(autouse=True)
def row(record_fault) -> None:
    record_fault(
        "a malicious run folder, in evaluate, denoise, crops and compare",
        1,
        "nothing ran, nothing was written outside",
    )


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("trained") / "run"


@pytest.fixture
def run(kept, train, tmp_path):
    """Return a run that the test may turn into an attack; it is trained once."""
    if not kept.exists():
        shutil.copytree(train(*command_line(SMALL_DENOISER)).directory, kept)
    theirs = shutil.copytree(kept, tmp_path / "theirs" / "run")
    for record in theirs.glob("checkpoints/*.sha256"):  # who alters a checkpoint leaves no checksum that tells
        record.unlink()
    return theirs


@pytest.fixture
def use(run, mine, tmp_path, run_main):
    """Use the run with every command; return what each left, and see that my folder is as it was."""
    photo = tmp_path / "photo.png"
    Image.new("L", (32, 32), 90).save(photo)
    out = tmp_path / "out"
    calls = {
        evaluate: [run],
        denoise: [run, photo, "-o", out],
        crops: [run, "--image", photo, "--size", 16, "-o", out / "crops.png"],
        compare: [run, "--csv", out / "table.csv", "--picture", out / "curves.png"],
    }

    def call() -> dict[str, CommandResult]:
        found = {
            script.__name__.rpartition(".")[2]: run_main(script.main, *arguments) for script, arguments in calls.items()
        }
        assert {path.name: path.read_text() for path in mine.iterdir()} == {"diary": "dear diary"}
        for code, _, err in found.values():
            assert code in (0, 2)
            assert "Traceback" not in err
            assert err.count("\n") <= 1
        return found

    return call


def change(run: Path, edit) -> None:
    """Write another config.yaml, without the checksum: a stranger could make that too."""
    content = yaml.safe_load((run / "config.yaml").read_text())
    edit(content)
    (run / "config.yaml").write_text(yaml.safe_dump(content))


def repack(run: Path, edit) -> None:
    path = run / "checkpoints" / "best.ckpt"
    content = torch.load(path, weights_only=True)
    edit(content)
    torch.save(content, path)


def refused_by_all_that_load_it(found) -> None:
    assert [found[name][0] for name in ("evaluate", "denoise", "crops")] == [2, 2, 2]


class Attack:
    """Make a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.path}",)


def test_the_run_is_good_before_it_is_an_attack(use):
    assert [code for code, *_ in use().values()] == [0, 0, 0, 0]


@pytest.mark.parametrize("where", ["callbacks", "hyper_parameters", "state_dict"])
def test_a_pickle_that_runs_a_command(run, mine, use, where):
    repack(run, lambda content: content.update({where: Attack(mine / "attacked")}))
    refused_by_all_that_load_it(use())


@pytest.mark.parametrize("group", ["model", "datamodule", "task", "conv", "trainer", "optimizer", "scheduler", "init"])
def test_a_command_as_target(run, mine, use, group):
    """Groups that nothing is made of may say what they like."""
    attack = {"_target_": "os.system", "command": f"touch {mine / 'attacked'}"}
    change(run, lambda content: content[group].update(attack))
    found = use()
    if group in ("model", "datamodule", "task"):
        refused_by_all_that_load_it(found)


@pytest.mark.parametrize(
    "special", [{"_partial_": True}, {"_args_": [1]}, {"_convert_": "all"}, {"_recursive_": True}, {"more": {"a": 1}}]
)
@pytest.mark.parametrize("group", ["model", "datamodule", "task"])
def test_what_hydra_would_take_for_an_instruction(run, use, group, special):
    change(run, lambda content: content[group].update(special))
    found = use()
    refused_by_all_that_load_it(found)
    assert "is no argument of a model, an arm, a data set or a task" in found["evaluate"][2]


@pytest.mark.parametrize("text", ["${oc.env:WANDB_API_KEY}", "${hydra:runtime.cwd}", "\\${oc.env:X}", "${seed}"])
def test_what_would_be_looked_up_here(run, use, text, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "deadbeef" * 5)
    change(run, lambda content: content["model"].update(name=text))
    found = use()
    refused_by_all_that_load_it(found)
    assert not any("deadbeef" in text for _, *streams in found.values() for text in streams)


BOMB = "a0: &a0 [1, 1]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        "x: !!python/object/apply:os.system ['touch attacked']\n",
        "x: !!python/object/apply:pathlib.PosixPath [/etc]\n",
        "x: &x [*x]\n",
        "x: " + "[" * 2000 + "]" * 2000 + "\n",
        "x: " + "y" * 2**21 + "\n",
        "\x1b[2J: 1\n\x00",
    ],
    ids=["bomb", "command", "path", "itself", "deep", "large", "control"],
)
def test_yaml_that_is_more_than_values(run, use, text):
    (run / "config.yaml").write_text(text + (run / "config.yaml").read_text())
    found = use()
    refused_by_all_that_load_it(found)
    assert found["compare"][0] == 2
    assert "\x1b" not in "".join(err for *_, err in found.values())


@pytest.mark.parametrize(
    "values",
    [
        {"width": 10**9},
        {"width": 4096, "depth": 900},
        {"depth": 10**9},
        {"width": 1e300},
        {"depth": True},
        {"kernel_size": 10**9},
    ],
    ids=str,
)
def test_a_network_larger_than_any_machine(run, use, values):
    change(run, lambda content: content["model"].update(values))
    refused_by_all_that_load_it(use())


@pytest.mark.parametrize("value", [None, 3, "x", [1], {"a": 1}, float("nan"), 10**400], ids=type)
def test_values_of_other_kinds(run, value):
    """For some keys some of these are right; none may end in another error."""
    keys = ("task.sigma", "task.loss", "task.max_pixels", "model.depth", "datamodule.channels", "conv.name")
    text = (run / "config.yaml").read_text()
    for key in (*keys, "model", "trainer", "optimizer", "scheduler.milestones"):
        group, _, last = key.partition(".")
        content = yaml.safe_load(text.partition("\n")[2])
        content[group] = content[group] | {last: value} if last else value
        (run / "config.yaml").write_text(yaml.safe_dump(content))
        with contextlib.suppress(ConfigError):
            load_denoiser(run)


def test_a_nafnet_larger_than_any_machine(run, use):
    model = {"name": "nafnet", "_target_": "models.nafnet.NAFNet", "width": 4, "middle": 1, "decoder": [1]}
    change(run, lambda content: content.update(model=model | {"encoder": [10**9]}))
    refused_by_all_that_load_it(use())


def test_weights_that_are_larger_than_their_file(run, use):
    weight = torch.zeros(1).expand(4000, 1, 3, 3)
    change(run, lambda content: content["model"].update(width=4000))
    repack(run, lambda content: content["state_dict"].update({"model.dncnn.0.weight": weight}))
    found = use()
    refused_by_all_that_load_it(found)
    assert "the file has fewer values" in found["evaluate"][2]


def test_a_file_of_weights_that_are_larger_than_it(tmp_path, run_main):
    one = torch.zeros(1)
    weights = {"dncnn.0.weight": one.expand(10**7, 1, 3, 3), "dncnn.2.weight": one.expand(1, 10**7, 3, 3)}
    torch.save(weights, tmp_path / "weights.pth")
    done = run_main(evaluate.main, "--checkpoint", tmp_path / "weights.pth", "--data", tmp_path)
    assert done.code == 2
    assert "cannot be read as a file of weights" in done.err


def test_weights_that_are_compressed(run, use):
    path = run / "checkpoints" / "best.ckpt"
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    found = use()
    refused_by_all_that_load_it(found)
    assert "it is compressed" in found["evaluate"][2]


@pytest.mark.parametrize(
    "name", ["checkpoints", "checkpoints/best.ckpt", "config.yaml", "results.json", "evaluation.json"]
)
def test_a_link_that_leads_out(run, mine, tmp_path, use, name):
    path, elsewhere = run / name, tmp_path / "elsewhere"
    if path.exists():
        shutil.move(path, elsewhere)
    else:
        elsewhere.write_text("{}")
    path.symlink_to(elsewhere)
    found = use()
    refused_by_all_that_load_it(found)
    assert found["compare"][0] == 2
    assert f"{path} is a link that leads out of the run folder" in found["evaluate"][2]
    assert elsewhere.is_dir() or elsewhere.read_bytes()


@pytest.mark.parametrize("name", ["config.yaml", "results.json", "checkpoints/best.ckpt"])
def test_a_pipe_without_an_end(run, use, name):
    (run / name).unlink()
    os.mkfifo(run / name)
    refused_by_all_that_load_it(use())


def test_settings_that_send_logs_elsewhere(run, use):
    (run / "wandb").mkdir()
    (run / "wandb" / "settings").write_text("[default]\nbase_url = http://attacker.example\n")
    refused_by_all_that_load_it(use())
