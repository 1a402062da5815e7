"""model=torchvision and model=timm through train.py: runs, their names, and one sentence for what cannot be."""

import json
from itertools import product
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.inference.load import load_network
from wconv.experiment.reports.comparison import Comparison
from wconv.experiment.runs.saved_runs import find_runs
from wconv.experiment.sweep.load import load_sweep

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("datamodule.train_images=64", "datamodule.test_images=40", "trainer.max_epochs=1")
TORCHVISION = ("model=torchvision", "model.name=shufflenet_v2_x0_5", *SMALL)
TIMM = ("model=timm", "model.name=test_resnet", *SMALL)


def weighted_layers(directory):
    layers = json.loads((directory / "results.json").read_text())["layers"]
    return sum(layer["density"] is not None for layer in layers)


def test_a_model_of_torchvision_is_trained_found_again_and_read_back(train):
    done = train(*TORCHVISION, "conv=weighted")
    assert done.code == 0, done.err
    assert done.directory.name.startswith("torchvision_shufflenet_v2_x0_5-weighted-s0-")
    assert done.results["model"] == "torchvision_shufflenet_v2_x0_5"
    assert weighted_layers(done.directory) == 20  # every 3x3 kernel
    assert "completed before" in train(*TORCHVISION, "conv=weighted").out
    trained = load_network(done.directory)
    assert trained.arguments == {"num_classes": 20, "in_channels": 3}
    assert trained.model(torch.zeros(1, 3, 32, 32)).shape == (1, 20)


def test_a_run_repeats(train, tmp_path):
    first = train(*TORCHVISION, "conv=weighted")
    again = train(*TORCHVISION, "conv=weighted", f"paths.output_dir={tmp_path / 'again'}")
    assert (first.directory / "metrics.csv").read_text() == (again.directory / "metrics.csv").read_text()


def test_stems_and_names_are_runs_and_rows_of_their_own(train, tmp_path):
    for name in ("shufflenet_v2_x0_5", "squeezenet1_1"):
        assert train(*TORCHVISION, f"model.name={name}", "debug=fast").code == 0
    assert train(*TORCHVISION, "model.stem=original", "debug=fast").code == 0
    table = Comparison(find_runs([tmp_path / "runs"])).table
    assert sorted(zip(table["model"], table["stem"], strict=True)) == [
        ("torchvision_shufflenet_v2_x0_5", "original"),
        ("torchvision_shufflenet_v2_x0_5", "small"),
        ("torchvision_squeezenet1_1", "small"),
    ]


@pytest.mark.ecosystem
def test_a_model_of_timm_is_converted_in_whole(train, recwarn):
    pytest.importorskip("timm")
    done = train(*TIMM, "model.name=tf_mixnet_s", "conv=weighted", "debug=fast")  # of padding and sizes of its own
    assert done.code == 0, done.err
    layers = done.results["layers"]
    left = [layer["name"] for layer in layers if layer["density"] is None and layer["kernel_size"][0] in (3, 5, 7)]
    assert left == []
    assert not [warning for warning in recwarn if "left alone" in str(warning.message)]


@pytest.mark.ecosystem
def test_libraries_never_share_a_folder_or_a_row(train, tmp_path):
    pytest.importorskip("timm")
    for library in ("torchvision", "timm"):
        done = train(f"model={library}", "model.name=resnet18", *SMALL, "debug=fast", "datamodule.batch_size=8")
        assert done.code == 0, done.err
    names = sorted(path.name.rpartition("-")[0] for path in (tmp_path / "runs" / "classification").iterdir())
    assert names == ["timm_resnet18-standard-s0", "torchvision_resnet18-standard-s0"]
    table = Comparison(find_runs([tmp_path / "runs"])).table
    assert table["model"].tolist() == ["timm_resnet18", "torchvision_resnet18"]
    assert "library" not in table


REFUSED = [
    (
        ("model.name=resnet81",),
        "model.name=resnet81: torchvision has no classifier of this name; did you mean resnet18",
    ),
    (("model.name=swin_t", "conv=weighted"), "conv=weighted changes nothing in model.name=swin_t"),
    (("model.name=swin_t", "conv=scaled_init"), "conv=scaled_init changes nothing in model.name=swin_t"),
    (("conv=weighted", "conv.density.k3=null"), "conv=weighted changes nothing in model.name=shufflenet_v2_x0_5"),
    (("model.name=vit_b_32",), "the model cannot take images of 32x32 pixels: Wrong image height! Expected 224"),
    (("model.name=maxvit_t",), "choose model.stem=original, another model or images of another size"),
    (("model.stem=tiny",), "model.stem=tiny: choose small or original"),
    (("task=denoising",), "model=torchvision does not go with task=denoising"),
    (("datamodule=synthetic_images",), "synthetic_images is for denoising, and model=torchvision for classification"),
    (("model.checkpoint=resnet18.pth",), "unknown key 'model.checkpoint'"),
    (("model.library=timm",), "model.library follows from the choice made for 'model' and cannot be set"),
    (("model.nam=resnet18",), "unknown key 'model.nam': did you mean 'model.name'?"),
    (("model.name=[resnet18]",), "model.name=['resnet18']: expected a text, e.g. resnet18"),
    (("model.name=null",), "model.name=None: expected a name"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=[" ".join(options) for options, _ in REFUSED])
def test_what_cannot_be_is_refused_in_one_sentence(train, tmp_path, options, message):
    done = train(*TORCHVISION, *options)
    assert done.code == 2, done.err
    assert message in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert not list((tmp_path / "runs").glob("*/*/checkpoints"))


def test_the_name_of_our_own_models_follows_from_the_choice(train):
    done = train("model.name=resnet18")
    assert (done.code, done.out) == (2, "")
    assert "model.name follows from the choice made for 'model' and cannot be set" in done.err


def test_a_sweep_is_refused_before_its_first_run(tmp_path):
    file = tmp_path / "names.yaml"
    overrides = ["model=torchvision", "datamodule=synthetic_classes", "conv=weighted"]
    grid = {"model.name": ["resnet18", "swin_t"]}
    file.write_text(yaml.safe_dump({"overrides": overrides, "grid": grid}))
    with pytest.raises(ConfigError, match=r"changes nothing in model\.name=swin_t"):
        load_sweep(str(file), [f"paths.output_dir={tmp_path}"], ROOT, refresh=True)
    file.write_text(yaml.safe_dump({"overrides": overrides, "grid": {"model.name": ["resnet18", "resnet34"]}}))
    rows = load_sweep(str(file), [f"paths.output_dir={tmp_path}"], ROOT, refresh=True).rows
    assert [row.model for row in rows] == ["torchvision_resnet18", "torchvision_resnet34"]


def test_a_small_stem_for_large_images_is_told(train, tmp_path):
    for part, name, count in product(("train", "test"), ("left", "right"), range(12)):
        folder = tmp_path / "images" / part / name
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (80, 80), (20 * count, 50, 200)).save(folder / f"{count}.png")
    images = ("datamodule=class_folder", f"paths.data_dir={tmp_path / 'images'}", "datamodule.batch_size=4")
    options = ("model=torchvision", "model.name=squeezenet1_1", "debug=fast", *images)
    with pytest.warns(UserWarning, match="up to 64 pixels, and these have 80"):
        done = train(*options, "datamodule.image_size=80")
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    "change",
    [
        {"name": "hf-hub:somebody/something"},
        {"library": "../../elsewhere"},
        {"library": "timm", "name": "local-dir:here"},
        {"_target_": "os.system"},
        {"pretrained": True},
    ],
    ids=str,
)
def test_the_config_of_somebody_else_brings_no_other_network(train, change):
    directory = train(*TORCHVISION, "debug=fast").directory
    file = directory / "config.yaml"
    content = yaml.safe_load(file.read_text())
    content["model"] |= change
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError) as caught:
        load_network(directory)
    assert "\n" not in str(caught.value)
