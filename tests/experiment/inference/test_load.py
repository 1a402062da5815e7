"""Reading a run back: what it was, and nothing else, whatever its files say."""

import pickle
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

import wconv
from models.dncnn import DnCNN
from models.nafnet import NAFNet
from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.inference.load import ROOT, load_denoiser

DNCNN = {"name": "dncnn", "_target_": "models.dncnn.DnCNN", "depth": 3, "width": 4}
NAFNET = {"name": "nafnet", "_target_": "models.nafnet.NAFNet", "width": 2, "encoder": [1], "middle": 0, "decoder": [1]}
STANDARD = {"name": "standard"}
DENSITY = {"density": {"k3": [0.5], "k5": [0.2, 0.8]}}
WEIGHTED = {"name": "weighted", **DENSITY}


def config(model=DNCNN, conv=STANDARD, **task) -> dict:
    return {
        "seed": 0,
        "model": dict(model),
        "conv": dict(conv),
        "datamodule": {
            "name": "synthetic_images",
            "_target_": "datamodules.synthetic_images.SyntheticImages",
            "channels": 1,
            "train_images": 4,
        },
        "task": {
            "name": "denoising",
            "_target_": "wconv.experiment.tasks.denoising.Denoising",
            "seed": 0,
            "sigma": 25.0,
            "clip_noisy": False,
            "loss": "l2",
            "test_seed": 0,
            "max_pixels": 1000,
            **task,
        },
        "trainer": {"accelerator": "cpu", "precision": "32-true"},
    }


def network(kind: type = DnCNN) -> torch.nn.Module:
    torch.manual_seed(1)
    return kind(1, depth=3, width=4) if kind is DnCNN else NAFNet(1, 2, [1], 0, [1])


def save(folder: Path, content: object, model: torch.nn.Module | None = None, file: str = "best.ckpt") -> Path:
    """Write the folder of a run."""
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    OmegaConf.save(OmegaConf.create(content), folder / "config.yaml")
    state = {f"model.{name}": value for name, value in (model or network()).state_dict().items()}
    torch.save({"state_dict": state}, folder / "checkpoints" / file)
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_denoiser(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) in message
    return message


@pytest.mark.parametrize("kind", [DnCNN, NAFNet])
@pytest.mark.parametrize("arm", ["standard", "weighted", "trainable", "scaled_init"])
def test_the_network_of_every_arm_comes_back(tmp_path, kind, arm):
    model = network(kind)
    if arm in ("weighted", "trainable"):
        model = wconv.convert(model, {3: [0.5]}, trainable=arm == "trainable")
        for density in wconv.density_parameters(model):
            torch.nn.init.constant_(density, 0.8)  # as if trained
    conv = (
        {"name": arm, **DENSITY, **({"share": False} if arm == "trainable" else {})} if arm != "standard" else STANDARD
    )
    denoiser = load_denoiser(save(tmp_path, config(DNCNN if kind is DnCNN else NAFNET, conv), model))
    assert not denoiser.model.training
    assert (denoiser.channels, denoiser.sigma, denoiser.max_pixels) == (1, 25, 1000)
    assert arm in denoiser.name
    image = torch.rand(1, 1, 20, 20)
    with torch.inference_mode():
        found = denoiser.model.cpu()(image)
        assert torch.equal(found, model.eval()(image))
        without = torch.equal(found, network(kind).eval()(image))
    assert without == (arm in ("standard", "scaled_init"))  # a density changes what the weights mean


def test_densities_of_single_layers_come_back(tmp_path):
    model = wconv.convert(network(), {3: [0.9]}, include="dncnn.0")
    model = wconv.convert(model, {3: [0.5]})
    conv = {"name": "weighted", **DENSITY, "layer_density": {"dncnn.0": [0.9]}}
    found = load_denoiser(save(tmp_path, config(DNCNN, conv), model)).model.cpu()
    image = torch.rand(1, 1, 20, 20)
    with torch.inference_mode():
        assert torch.equal(found(image), model.eval()(image))
    wrong = conv | {"layer_density": {"dncnn.0": {"more": 1}}}
    assert "conv.dncnn.0 is no argument" in refusal(save(tmp_path / "wrong", config(DNCNN, wrong), model))


def test_a_range_is_evaluated_at_its_middle(tmp_path):
    denoiser = load_denoiser(save(tmp_path, config(sigma=[10, 50], clip_noisy=True)))
    assert (denoiser.sigma, denoiser.task.noise.clip) == (30, True)


def test_reading_leaves_the_global_stream_alone(tmp_path):
    save(tmp_path, config())
    state = torch.get_rng_state()
    load_denoiser(tmp_path)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_best_epoch_goes_before_the_last(tmp_path):
    last = network()
    torch.nn.init.zeros_(last.dncnn[0].weight)
    save(tmp_path, config(), last, "last.ckpt")
    assert load_denoiser(tmp_path).model.dncnn[0].weight.abs().sum() == 0
    save(tmp_path, config())
    assert load_denoiser(tmp_path).model.dncnn[0].weight.abs().sum() > 0


def test_relative_folders_are_below_the_checkout(tmp_path):
    content = config()
    content["datamodule"] = {
        "name": "image_folder",
        "_target_": "datamodules.image_folder.ImageFolder",
        "channels": 1,
        "train_dir": "data/train",
        "val_dir": None,
        "test_dirs": ["data/test", "/elsewhere"],
        "store_dir": "data/stores",
    }
    data = load_denoiser(save(tmp_path, content)).config.datamodule
    assert data.train_dir == str(ROOT / "data/train")
    assert data.test_dirs == [str(ROOT / "data/test"), "/elsewhere"]
    assert data.val_dir is None


def test_no_folder_of_a_run(tmp_path):
    assert "is no folder" in refusal(tmp_path / "nothing")
    assert "holds no config.yaml" in refusal(tmp_path)
    file = tmp_path / "file"
    file.write_text("")
    assert "is no folder" in refusal(file)


def test_a_run_of_another_task(tmp_path):
    assert "task=classification" in refusal(save(tmp_path, config(name="classification")))


def test_a_run_that_has_not_come_far_enough(tmp_path):
    (save(tmp_path, config()) / "checkpoints" / "best.ckpt").unlink()
    assert "holds no checkpoint" in refusal(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "- a\n- b", "just words", "task: {name: [", "\x00", "task: denoising"])
def test_a_file_that_is_no_configuration(tmp_path, text):
    save(tmp_path, config())
    (tmp_path / "config.yaml").write_text(text)
    assert "is not the configuration of a run" in refusal(tmp_path)


@pytest.mark.parametrize("group", ["model", "conv", "datamodule", "task", "trainer"])
def test_a_configuration_without_a_part(tmp_path, group):
    content = config()
    del content[group]
    assert f"it lacks {group}" in refusal(save(tmp_path, content))


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", pickle.dumps({"state_dict": {}}, protocol=2)])
def test_a_checkpoint_that_is_none(tmp_path, content):
    (save(tmp_path, config()) / "checkpoints" / "best.ckpt").write_bytes(content)
    assert "does not hold the network" in refusal(tmp_path)


@pytest.mark.parametrize("change", [{"width": 5}, {"depth": 4}, {"kernel_size": 5}, {"batch_norm": False}])
def test_a_checkpoint_of_another_network(tmp_path, change):
    assert "does not hold the network" in refusal(save(tmp_path, config(DNCNN | change)))


class Attack:
    """Make a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("where", ["beside the weights", "as a weight", "in place of all"])
def test_an_attack_in_a_checkpoint_is_not_carried_out(tmp_path, where):
    save(tmp_path, config())
    path = tmp_path / "checkpoints" / "best.ckpt"
    content = torch.load(path, weights_only=True)
    attack = Attack(tmp_path / "attacked")
    if where == "as a weight":
        content["state_dict"]["model.dncnn.0.weight"] = attack
    torch.save(attack if where == "in place of all" else {**content, "more": attack}, path)
    assert "does not hold the network" in refusal(tmp_path)
    assert not (tmp_path / "attacked").exists()
    torch.load(path, weights_only=False)  # it would have worked
    assert (tmp_path / "attacked").exists()


# What Hydra would call, if it got there; it refuses some functions by itself, but not this one.
PLANT = "pathlib.Path.touch"


@pytest.mark.parametrize(
    "key",
    ["model", "model.width", "task", "task.sigma", "task.model.deep.deeper", "datamodule", "datamodule.seed"],
)
@pytest.mark.parametrize("inside", ["plainly", "in a list"])
def test_a_configuration_calls_nothing_foreign(tmp_path, key, inside):
    content = OmegaConf.create(config())
    attack = {"_target_": PLANT, "_args_": [str(tmp_path / "attacked")]}
    if inside == "plainly":
        OmegaConf.update(content, key, attack, force_add=True)
    else:
        OmegaConf.update(content, f"{key}.list" if key.count(".") == 0 else key, [1, [attack]], force_add=True)
    assert f"names {PLANT}" in refusal(save(tmp_path, content))
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize("escapes", ["", "\\", "\\\\\\"], ids=["plain", "escaped", "escaped twice"])
def test_nor_does_one_that_hides_it_in_a_text(tmp_path, escapes):
    """An escaped interpolation comes out of the first resolution as one that a second would follow."""
    attack = f"${{oc.create:{{_target_: {PLANT}, _args_: [{tmp_path / 'attacked'}]}}}}"
    assert PLANT in refusal(save(tmp_path, config(sigma=escapes + attack)))
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize(
    "target", [["os.system"], {"a": 1}, None, 3, "models.dncnn", "models.dncnn.DnCNN.from_state_dict"]
)
def test_a_target_has_to_be_one_of_a_few(tmp_path, target):
    assert "nothing of it is executed" in refusal(save(tmp_path, config(DNCNN | {"_target_": target})))
