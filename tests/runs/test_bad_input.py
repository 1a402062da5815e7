"""What cannot be run is refused: exit code 2, one line that says what to do, nothing made."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

WRONG = [
    # unknown names, with the nearest right one
    ("modle=vgg", "did you mean 'model'"),
    ("model=vg", "did you mean 'vgg'?; there are dncnn, nafnet, resnet, timm, torchvision, vgg"),
    ("init=xavier", "there are kaiming, pytorch"),
    ("experiment=nope", "quickstart"),
    ("datamodule.batchsize=3", "did you mean 'datamodule.batch_size'"),
    ("+datamodule.batchsize=3", "did you mean 'datamodule.batch_size'"),
    ("batch_size=3", "did you mean 'datamodule.batch_size'"),
    ("lr=3", "did you mean 'optimizer.lr'"),
    ("epochs=3", "did you mean 'trainer.max_epochs' or 'trainer.min_epochs'?"),
    ("density=0.9", "unknown key 'density': conv=standard has no density; add conv=weighted"),
    ("conv.density.k3=[0.9]", "unknown key 'conv.density.k3': conv=standard has no density; add conv=weighted"),
    ("+foo=1", "unknown key 'foo'"),
    ("++model.foo=1", "unknown key 'model.foo'"),
    ("+seed=1", "drop the +"),
    ("conv.density.k3=[0.7]", "unknown key 'conv.density.k3'"),
    ("conv=weighted conv.density.k4=[0.7]", "unknown key 'conv.density.k4'"),
    ("hydra.foo=1", "hydra.foo"),
    ("--foo", "--help"),
    # what cannot be taken away or set
    ("~conv", "'~conv'"),
    ("model@here=vgg", "only GROUP=CHOICE"),
    ("model.name=other", "follows from the choice"),
    ("model._target_=os.getcwd", "follows from the choice"),
    ("model.depth", "missing EQUAL"),
    # densities
    ("conv=weighted conv.density.k3=[]", "expected a list of 1 number, e.g. [0.5]"),
    ("conv=weighted conv.density.k3=[0.7,0.8]", "expected a list of 1 number, e.g. [0.5]"),
    ("conv=weighted conv.density.k3=['a']", "expected a list of 1 number, e.g. [0.5]"),
    ("conv=weighted conv.density.k3=[nan]", "expected a list of 1 number, e.g. [0.5]"),
    ("conv=weighted conv.density.k3=0.7", "expected a list of 1 number, e.g. [0.7]"),
    ("conv=scaled_init conv.density.k7=[1]", "expected a list of 3 numbers"),
    ("conv=weighted conv.layer_density={conv9:[0.7]}", "no convolution of this model is called conv9; did you mean"),
    ("conv=weighted conv.layer_density={features.0:[0.7,0.8]}", "features.0: density [0.7, 0.8] does not fit"),
    ("conv=weighted conv.layer_density={features.0:[0.7],features.*:[0.8]}", "for layer features.0; leave one out"),
    ("conv=weighted conv.layer_density={features.0:0.7}", "a list of coefficients for each name of a layer"),
    ("conv=weighted conv.layer_density={features.0:null}", "a list of coefficients for each name of a layer"),
    ("conv=weighted conv.layer_density=[0.7]", "a list of coefficients for each name of a layer"),
    (
        "conv=weighted conv.layer_density={a:[1]} conv.layer_density={b:[1]}",
        "stands there twice; name all layers in one",
    ),
    ("conv=weighted conv.density={k3:[0.7]}", "keys are set one by one"),
    # the operator taken apart
    ("conv=ablation conv.start=ph", "conv.start=ph: expected one of none, phi, scale, shape"),
    ("conv=ablation conv.step=maybe", "expected true or false"),
    ("conv=ablation conv.density.k3=[0.7,0.8]", "expected a list of 1 number, e.g. [0.5]"),
    (
        "conv=ablation conv.step=true conv.density.k3=[0]",
        "divide by it, and it has a 0; choose coefficients other than 0",
    ),
    ("conv=ablation conv.decay=true conv.density.k3=[0]", "divide by it, and it has a 0"),
    # numbers
    ("trainer.max_epochs=-1", "trainer.max_epochs=-1: expected a whole number from 1"),
    ("trainer.max_epochs=ten", "expected a whole number"),
    ("datamodule.batch_size=0", "expected a whole number from 1"),
    ("datamodule.batch_size=1.5", "expected a whole number, e.g. 128"),
    ("optimizer.lr=-1", "optimizer.lr=-1: expected a number above 0"),
    ("optimizer.lr=nan", "expected a number above 0"),
    ("optimizer.momentum=-1", "optimizer: Invalid momentum"),
    ("scheduler=multistep scheduler.milestones=3", "expected a list"),
    ("scheduler=multistep scheduler.milestones=['a']", "numbers from 0 to below 1"),
    ("datamodule.train_subset=0", "expected a whole number from 1, or null"),
    ("datamodule.train_subset=201", "has 200 training images; choose 1 to 200"),
    ("datamodule.val_size=200", "200 of 200 training images would be held out"),
    ("datamodule.mean=[0.5]", "3 channels"),
    ("seed=-1", "expected a whole number from 0"),
    ("conv=trainable conv.lr=0", "expected a number above 0"),
    ("conv=trainable conv.restart_factor=0.5", "expected a number from 1"),
    ("model.width=0", "expected a number above 0"),
    ("model.batch_norm=maybe", "expected true or false"),
    # what a model or the machine does not have
    ("model.depth=12", "11, 13, 16, 19"),
    ("model=resnet model.depth=19", "18, 20, 32"),
    ("model.kernel_size=4", "3, 5 or 7"),
    ("model.head=cosine", "linear and mlp"),
    ("trainer.precision=13", "Precision 13 is invalid"),
    ("trainer.accelerator=abacus", "invalid accelerator"),
    ("trainer.enable_progress_bar=maybe", "expected true or false"),
    ("trainer.accumulate_grad_batches=0", "expected a whole number from 1"),
    ("trainer.max_steps=0", "expected a whole number from 1, or -1"),
    ("trainer.overfit_batches=1", "unknown key"),
    ("datamodule.seed=7", "follows from seed"),
    ("datamodule.flip=null", "expected true or false"),
    ("datamodule.mean=[nan,nan,nan]", "expected a number for each"),
    ("scheduler=multistep scheduler.milestones=[2,-1]", "numbers from 0 to below 1"),
    ("optimizer=adam optimizer.betas=[0.9]", "optimizer:"),
    ("conv=weighted conv.density=null", "group of keys"),
    ("callbacks.progress=null", "group of keys"),
    # grids, and what looks like one
    ("conv=standard,weighted", "add -m"),
    ("conv=weighted conv.density.k3=0.7,0.8", "add -m"),
    ("-m model=vgg,resnet model.head=mlp", "unknown key 'model.head' with model=resnet"),
    ("-m conv=weighted,standard conv.density.k3=[0.5]", "unknown key 'conv.density.k3' with conv=standard"),
    ("hydra.mode=MULTIRUN", "only GROUP=CHOICE"),
    ("--config-name other", "the configuration is in configs/"),
    # folders
    ("paths.output_dir=null", "expected a folder"),
    ("paths.output_dir=/dev/null/here", "cannot be written"),
    ("-m model=vgg,vg", "did you mean 'vgg'"),
]


@pytest.mark.parametrize(("line", "message"), WRONG, ids=[line for line, _ in WRONG])
def test_refused_in_one_line_with_nothing_made(line, message, train, tmp_path):
    done = train(*line.split())
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1
    assert done.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def cifar_run(train, tmp_path):
    """Run on CIFAR-100 in a folder, with what the folder holds made by the test."""
    data = tmp_path / "data"

    def call():
        done = train("datamodule=cifar100", f"paths.data_dir={data}")
        return data, done

    return call


def test_a_missing_data_folder_says_what_to_run(cifar_run):
    data, done = cifar_run()
    assert done.code == 2
    assert str(data / "cifar-100-python") in done.err
    assert f"python scripts/prepare_data.py cifar100 --data-dir {data}" in done.err
    assert done.err.count("\n") == 1


def test_a_file_in_place_of_the_data_folder(cifar_run, tmp_path):
    (tmp_path / "data").write_text("")
    assert "is a file" in cifar_run()[1].err


def test_an_empty_data_folder(cifar_run, tmp_path):
    (tmp_path / "data" / "cifar-100-python").mkdir(parents=True)
    _, done = cifar_run()
    assert done.code == 2
    assert "has no file 'train'" in done.err


def test_a_truncated_file_is_named(cifar_run, tmp_path):
    folder = tmp_path / "data" / "cifar-100-python"
    folder.mkdir(parents=True)
    (folder / "train").write_bytes(b"half of it")
    _, done = cifar_run()
    assert done.code == 2
    assert str(folder / "train") in done.err
    assert "10 bytes" in done.err
    assert hashlib.md5(b"half of it").hexdigest() not in done.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.skipif(not Path("/usr/bin/setpriv").exists(), reason="needs setpriv to run as another user")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_an_output_folder_without_permission(tmp_path):
    """Run as nobody: permissions do not stop root."""
    tmp_path.chmod(0o755)
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, str(ROOT / "train.py")]
    overrides = ["experiment=quickstart", "debug=fast", f"paths.output_dir={tmp_path / 'runs'}"]
    environment = os.environ | {"HOME": "/tmp", "PYTHONDONTWRITEBYTECODE": "1"}
    probe = subprocess.run([*command[:-1], "-c", "import torch"], capture_output=True, env=environment)
    if probe.returncode:
        pytest.skip("the environment cannot be read by another user")
    done = subprocess.run([*command, *overrides], capture_output=True, text=True, env=environment)
    assert done.returncode == 2, done.stderr
    assert "cannot be written (Permission denied); set paths.output_dir" in done.stderr
    assert "Traceback" not in done.stderr
