"""Command lines with a mistake in them: exit code 2, a few lines that say what is wrong, nothing made, nothing started.

Every generated line is a real one with one part made wrong, so that none is right by accident; should one be accepted
all the same, its run folder cannot be made, and the test sees that this was what stopped it.
"""

import contextlib
import io
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
NOWHERE = "/dev/null/runs"
# Last on the line, so that it wins.
ACCEPTED = f"the run folder {NOWHERE}"
SMALL = ("datamodule=synthetic_classes", "datamodule.train_images=200", "datamodule.test_images=60", "model.width=0.05")
RIGHT = (
    "model=vgg",
    "model.depth=11",
    "conv=weighted",
    "conv.density.k3=[0.7]",
    "init=pytorch",
    "optimizer=adam",
    "optimizer.lr=0.01",
    "scheduler=cosine",
    "seed=3",
    "force=false",
    "debug=fast",
    "trainer.max_epochs=2",
    "trainer.accelerator=cpu",
    "datamodule.batch_size=32",
    "datamodule.flip=true",
    "callbacks.progress.every_seconds=5",
)
COUNTS = (
    "seed",
    "model.depth",
    "datamodule.batch_size",
    "datamodule.train_images",
    "datamodule.crop_padding",
    "trainer.max_epochs",
    "trainer.accumulate_grad_batches",
    "trainer.log_every_n_steps",
    "trainer.min_epochs",
)
NUMBERS = ("optimizer.lr", "model.width", "callbacks.progress.every_seconds", "trainer.limit_train_batches")
SWITCHES = ("force", "model.batch_norm", "datamodule.flip", "trainer.sync_batchnorm", "trainer.enable_progress_bar")
GROUPS = ("model", "conv", "init", "datamodule", "task", "optimizer", "scheduler", "trainer", "paths", "experiment")
KEYS = (*COUNTS, *NUMBERS, *SWITCHES)

TYPED = (
    "",
    "ten",
    "[1]",
    "[]",
    "{a:1}",
    "true",
    "'3'",
    "nan",
    "-inf",
    "inf",
    "-1",
    "1e400",
    "0x10",
    "1_",
    "٣",
    "3.5.1",
)
PASTED = (
    "${nothing}",
    "${seed",
    "$(nproc)",
    "3;ls",
    "[3",
    "3]",
    "a=b",
    "3,",
    "\x1b[31m3",
    "-0.5",
    "9" * 60,
    "9" * 5000,
)
SHELL = ("&&", "|", ">", "2>&1", "#", "train.py", "--lr", "--lr=0.1", "-x", "=", "=1", "", " ", "seed=1,2", "x" * 5000)
HYDRA = ("--run", "--config-name=x", "--experimental-rerun=x", "--shell-completion", "--resolve", "--cfg", "--info=x")
HYDRA_KEYS = ("hydra=1", "hydra.run.dir=x", "hydra.job.chdir=true", "hydra/launcher=x", "hydra.verbose=3")
ODD = ("seed=" + "[" * 500 + "]" * 500, "seed=" + "${" * 50 + "seed" + "}" * 50, "seed=\udcff", "\udcff=1")
ENVIRONMENT = ("seed=${oc.env:WANDB_API_KEY}", "paths.data_dir=${oc.env:WANDB_API_KEY}")
RANGES = ("seed=range(0,3,0)", "seed=range(3,1)", "seed=range(0,100000000)", "seed=interval(0,1)", "seed=choice(1,ten)")
GRIDS = ("model=glob(q*)", "seed=glob(*)", "model=vgg,qq", "seed=0,-1", "seed=tag(a,b)", "conv=weighted,", "qq=1,2")
SUFFIXES = ("[", "{", "(", "'", '"', "${", "]]", ",", " | tee")

no_number = st.sampled_from((*TYPED, *PASTED))
no_switch = st.sampled_from(["", "yes!", "1", "0", "2.0", "[true]", "{a:true}", "null", "nan", "tru", "${nothing}"])
letters = st.characters(min_codepoint=97, max_codepoint=122)
foreign = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=12)


def misspelt(name: str) -> st.SearchStrategy[str]:
    """Put a letter in that no name has twice in a row."""
    return st.integers(0, len(name)).map(lambda at: f"{name[:at]}qq{name[at:]}")


wrong_keys = st.sampled_from(KEYS).flatmap(misspelt).flatmap(lambda key: st.sampled_from([f"{key}=1", f"+{key}=1"]))
wrong_choices = st.tuples(st.sampled_from(GROUPS), st.text(letters, min_size=1, max_size=8)).map(
    lambda pair: f"{pair[0]}=qq{pair[1]}"
)
wrong_numbers = st.tuples(st.sampled_from((*COUNTS, *NUMBERS)), no_number).map("=".join)
wrong_switches = st.tuples(st.sampled_from(SWITCHES), no_switch).map("=".join)
wrong_prefixes = st.tuples(st.sampled_from(["~", "+", "+++", "@", "-", ".", "$"]), st.sampled_from(RIGHT)).map("".join)
wrong_shapes = st.tuples(st.sampled_from(RIGHT), st.sampled_from(SUFFIXES)).map("".join)
no_assignments = st.sampled_from(RIGHT).map(lambda line: line.partition("=")[0])
deep_keys = st.lists(st.text(letters, min_size=1, max_size=4), min_size=2, max_size=40).map(
    lambda parts: f"{'.'.join(['model', *parts])}=1"
)
wrong_packages = st.sampled_from(GROUPS).map(lambda group: f"{group}@here=x")
left_overs = st.sampled_from((*SHELL, *HYDRA, *HYDRA_KEYS, *ODD, *ENVIRONMENT))
gibberish = foreign.map(lambda text: f"qq{text}")
wrong = st.one_of(
    *(wrong_keys, wrong_choices, wrong_numbers, wrong_switches, wrong_prefixes, wrong_shapes, no_assignments),
    *(deep_keys, wrong_packages, left_overs, gibberish),
)
wrong_cells = st.sampled_from([value for value in (*TYPED, *PASTED) if "," not in value])
wrong_grids = st.one_of(
    st.sampled_from((*RANGES, *GRIDS)),
    st.tuples(st.sampled_from(COUNTS), wrong_cells).map(lambda pair: f"{pair[0]}=1,{pair[1]}"),
)


@st.composite
def lines(draw: st.DrawFn) -> list[str]:
    """Draw a line: some right arguments, and in any place among them one or two that are wrong."""
    grid = draw(st.integers(0, 5)) == 0
    line = draw(st.lists(st.sampled_from(RIGHT), max_size=4, unique=True))
    for part in draw(st.lists(wrong_grids if grid else wrong, min_size=1, max_size=2)):
        line.insert(draw(st.integers(0, len(line))), part)
    return ["-m"] * grid + line


def settle(examples: int) -> settings:
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(max_examples=examples, deadline=None, database=None, derandomize=True, suppress_health_check=checks)


def check(line: list[str], code: int, out: str, err: str, folder: Path) -> None:
    assert code == 2, (line, out, err)
    assert ACCEPTED not in err, line
    assert "Traceback" not in err, (line, err)
    assert 1 <= err.count("\n") <= 4, (line, err)
    assert len(err) < 5000, (line, err)
    assert "\x1b" not in err
    assert out == "", line
    assert list(folder.iterdir()) == [], line


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "d" * 40)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(line: list[str]) -> tuple[int, str, str]:
    import train

    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(sys, "argv", ["train.py", *SMALL, *line, f"paths.output_dir={NOWHERE}"])
        code = train.main()
    return code, out.getvalue(), err.getvalue()


def test_the_right_parts_are_right(empty):
    """Or the tests below would refuse lines for another reason than their mistake."""
    assert ACCEPTED in call(list(RIGHT))[2]


SHOWING = {
    "--cfg job": "batch_size: 128",
    "--cfg job --package optimizer seed=3": "lr: 0.05",
    "-c job --resolve": "seed: 0",
    "--info defaults": "model",
    "--help": "Usage:",
    "--hydra-help": "Hydra",
}


@pytest.mark.parametrize(("line", "text"), SHOWING.items())
def test_the_options_that_show_something_do(line, text, empty, monkeypatch, capsys):
    import train

    monkeypatch.setattr(sys, "argv", ["train.py", *line.split()])
    assert train.main() == 0
    assert text in capsys.readouterr().out
    assert list(empty.iterdir()) == []


REFUSED = "nothing: refused with exit code 2, in a few lines, before a folder was made"


@pytest.mark.faults
def test_each_right_part_is_right_alone(empty):
    for part in RIGHT:
        more = ["conv=weighted"] if part.startswith("conv.") else []
        assert ACCEPTED in call([*more, part])[2], part


@pytest.mark.faults
@settle(300)
@given(line=lines())
def test_a_line_with_a_mistake_is_refused(line, empty, record_fault):
    record_fault("a malformed command line, in one process", 1, REFUSED)
    check(line, *call(line), empty)


@pytest.mark.faults
@settle(20)
@given(line=lines())
def test_so_it_is_by_the_real_command(line, empty, record_fault):
    record_fault("a malformed command line, as a real command", 1, REFUSED)
    command = [sys.executable, str(ROOT / "train.py"), *SMALL, *line, f"paths.output_dir={NOWHERE}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    check(line, done.returncode, done.stdout, done.stderr, empty)
