"""train.py logger=wandb against a small server: what W&B shows of a run, and that no trouble with it stops one."""

import json
import signal
import time
from pathlib import Path

import pandas as pd
import pytest

from wconv.experiment.reports.wandb.parts import list_parts

DEAD = "http://127.0.0.1:9"  # the discard port: nobody answers


def metrics(directory: Path) -> dict:
    return json.loads((directory / "results.json").read_text())["metrics"]


def test_an_online_run_shows_what_its_folder_holds(program, arguments, online, server):
    done = program("train.py", *arguments("conv=trainable"), **online, WCONV_SWEEP="night")
    assert done.code == 0, done.err
    shown = server.run
    assert shown.epochs == [0, 1, 2]
    table = pd.read_csv(done.directory / "metrics.csv")[:3]
    for name in ("lr", "train/loss", "val/acc", "density/features.0/0"):
        assert [row[name] for row in shown.history] == table[name].tolist()
    timing = pd.read_csv(done.directory / "timing.csv")
    for name in ("seconds", "images_per_second", "peak_memory_mb"):
        assert [row[f"time/{name}"] for row in shown.history] == timing[name].tolist()
    assert all(0 < row["lr/density"] <= 0.01 for row in shown.history)
    assert shown.summary["val/acc"] == {"max": table["val/acc"].max()}
    assert shown.summary["train/loss"] == {"min": table["train/loss"].min()}
    assert shown.summary["test/acc"] == metrics(done.directory)["test/acc"]
    assert shown.exit_codes == [0]
    assert shown.facts["jobType"] == "trainable"
    assert shown.facts["groupName"] == "night"
    assert shown.facts["tags"] == ["classification", "vgg", "synthetic_classes"]
    assert shown.facts["displayName"] == done.directory.name
    assert shown.config["conv"]["density"]["k3"] == [0.7]
    assert shown.config["model"]["depth"] == 11
    assert shown.config["data"]["dataset"] == "synthetic_classes"
    assert list(server.runs) == [(done.directory / "wandb_id").read_text().strip()]
    assert f"/us/wconv/runs/{(done.directory / 'wandb_id').read_text().strip()}" in done.out

    # Nothing of the machine in what the server was told, no key in what stays.
    assert str(done.directory.parents[2]) not in json.dumps(shown.facts) + "".join(shown.lines)
    assert online["WANDB_API_KEY"] not in done.out + done.err
    for path in done.directory.rglob("*"):
        assert path.is_dir() or online["WANDB_API_KEY"].encode() not in path.read_bytes(), path


def test_the_combinations_of_an_ablation_are_arms_of_their_own(program, arguments, online, server):
    """The dashboard averages over the runs of a `conv.name`."""
    done = program("train.py", *arguments("conv=ablation", "conv.start=phi", "conv.decay=true"), **online)
    assert done.code == 0, done.err
    assert server.run.config["conv"]["name"] == server.run.facts["jobType"] == "start + decay"


def test_where_no_server_answers_a_run_is_recorded_and_uploaded_later_once(program, arguments, online, server):
    start = time.monotonic()
    done = program("train.py", *arguments("model=dncnn"), **online | {"WANDB_BASE_URL": DEAD})
    assert time.monotonic() - start < 60
    assert done.code == 0, done.err
    assert f"W&B is offline: {DEAD} does not answer" in done.err
    runs = str(done.directory.parents[1])
    first = program("scripts/sync_wandb.py", runs, **online)
    assert (first.code, first.err) == (0, "")
    assert "uploaded 1 of 1" in first.out
    shown = server.run
    lines = list(shown.lines)
    assert shown.epochs == [0, 1]
    assert shown.exit_codes == [0]
    assert shown.facts["tags"] == ["denoising", "dncnn", "synthetic_images", "sigma=25"]
    assert shown.summary["test/psnr"] == metrics(done.directory)["test/psnr"]
    assert shown.summary["val/psnr"] == {"max": metrics(done.directory)["val/psnr"]}
    (panels,) = [row["test/dead_leaves"] for row in shown.history if "test/dead_leaves" in row]
    assert panels["count"] == 8
    assert panels["captions"][0] == "test0000"
    assert len([name for name in shown.files if name.startswith("media/images/test/dead_leaves")]) == 8
    (table,) = [row["test/images"] for row in shown.history if "test/images" in row]
    assert (table["nrows"], table["ncols"]) == (10, len(pd.read_csv(done.directory / "images.csv").columns))

    again = program("scripts/sync_wandb.py", runs, **online)
    assert again.code == 0
    assert "to upload: 0 parts" in again.out
    assert server.run.lines == lines


KILL = "os.kill(os.getpid(), signal.SIGKILL)"


@pytest.mark.faults
@pytest.mark.parametrize("wait", ["", "time.sleep(2); "], ids=["at once", "on the disk"])
def test_a_requeued_offline_run_is_one_run_without_gaps_or_doubles(
    wait, program, train_with_hook, arguments, online, server, tmp_path
):
    """Killed twice, once before the record reached the disk, and uploaded in between."""
    line = arguments("trainer.max_epochs=6", "logger.mode=offline")
    for epoch in (1, 3):
        assert train_with_hook(epoch, wait + KILL, *line).code == -signal.SIGKILL
    directory = next((tmp_path / "runs").glob("classification/*"))
    assert len(list_parts(directory)) == 2
    assert program("scripts/sync_wandb.py", str(tmp_path / "runs"), **online).code == 0
    done = program("train.py", *line)
    assert done.code == 0, done.err
    synced = program("scripts/sync_wandb.py", str(tmp_path / "runs"), **online)
    assert (synced.code, synced.err) == (0, "")
    assert sorted(server.run.epochs) == list(range(6))
    table = pd.read_csv(directory / "metrics.csv")[:6]
    values = {row["epoch"]: row["val/loss"] for row in server.run.history}
    assert [values[epoch] for epoch in range(6)] == table["val/loss"].tolist()
    assert server.run.summary["val/acc"] == {"max": table["val/acc"].max()}
    assert server.run.exit_codes[-1] == 0


@pytest.mark.faults
def test_a_requeued_online_run_is_one_run_without_gaps_or_doubles(train_with_hook, program, arguments, online, server):
    line = arguments("trainer.max_epochs=6")
    assert train_with_hook(1, KILL, *line, **online).code == -signal.SIGKILL
    assert train_with_hook(3, f"time.sleep(2); {KILL}", *line, **online).code == -signal.SIGKILL
    done = program("train.py", *line, **online)
    assert done.code == 0, done.err
    assert sorted(server.run.epochs) == list(range(6))
    table = pd.read_csv(done.directory / "metrics.csv")[:6]
    assert server.run.summary["val/acc"] == {"max": table["val/acc"].max()}
    assert server.run.exit_codes[-1] == 0
    nothing = program("scripts/sync_wandb.py", str(done.directory), **online)
    assert "to upload: 0 parts" in nothing.out


@pytest.mark.faults
def test_a_server_that_dies_in_the_middle_does_not_stop_the_run(
    program, train_with_hook, arguments, online, server, tmp_path
):
    """It dies after the first epochs, which W&B sends every 15 seconds, and what it missed is uploaded later."""
    options = ("model=dncnn", "trainer.max_epochs=6")
    line = arguments(*options)
    undisturbed = program("train.py", *arguments(*options, "logger=csv", f"paths.output_dir={tmp_path}"))
    server.die_after = 1
    done = train_with_hook(1, "time.sleep(17)", *line, **online)
    assert done.code == 0, done.err
    assert server.run.epochs == [0, 1]
    assert done.err.count("the run goes on without it") == 1
    assert "Traceback" not in done.err
    assert (done.directory / "metrics.csv").read_bytes() == (undisturbed.directory / "metrics.csv").read_bytes()
    assert metrics(done.directory) == metrics(undisturbed.directory)

    server.die_after = None
    synced = program("scripts/sync_wandb.py", str(tmp_path / "runs"), **online)
    assert (synced.code, synced.err) == (0, "")
    # `wandb sync` sends all of an online part; what was there already comes with the step that it had.
    steps = {row["_step"]: row["epoch"] for row in server.run.history if "epoch" in row}
    assert steps == {step: step for step in range(6)}
    assert server.run.exit_codes == [0]


@pytest.mark.faults
@pytest.mark.parametrize("mode", ["online", "offline"])
def test_the_end_of_its_service_does_not_stop_the_run(mode, train_with_hook, arguments, online, server):
    """W&B's own process on this machine is killed, as scancel does."""
    line = arguments("trainer.max_epochs=4", f"logger.mode={mode}")
    done = train_with_hook(1, "kill_service()", *line, **online)
    assert done.code == 0, done.err
    assert "killed W&B" in done.out
    assert done.err.count("the run goes on without it") == 1
    assert "Traceback" not in done.err
    assert len(pd.read_csv(done.directory / "metrics.csv")) == 5


@pytest.mark.faults
def test_two_processes_are_one_run_of_wandb(program, arguments, online, server):
    done = program("train.py", *arguments("model=dncnn", "trainer.devices=2", "trainer.strategy=ddp"), **online)
    assert done.code == 0, done.err
    assert server.run.epochs == [0, 1]
    assert server.run.exit_codes == [0], done.err
    assert done.out.count("W&B: ") == 1
    assert server.run.summary["test/psnr"] == metrics(done.directory)["test/psnr"]
    assert len(list_parts(done.directory)) == 1
