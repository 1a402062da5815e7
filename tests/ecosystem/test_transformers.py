"""transformers: models are made on the meta device, and every tensor that no file holds gets memory without values."""

import pytest
import torch
from torch import nn

import wconv
from tests.ecosystem.common import images

pytest.importorskip("transformers")
from transformers import PretrainedConfig, PreTrainedModel

pytestmark = pytest.mark.ecosystem


class Config(PretrainedConfig):
    model_type = "weighted"

    def __init__(self, conv="fixed", **kwargs):
        self.conv = conv
        super().__init__(**kwargs)


class Model(PreTrainedModel):
    config_class = Config

    def __init__(self, config):
        super().__init__(config)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 5))
        if config.conv != "plain":
            trainable = {"fixed": False, "trained": True, "shared": "shared"}[config.conv]
            wconv.convert(self.body, {3: [0.7], 5: [0.2, 0.8]}, trainable=trainable)
        self.post_init()

    def forward(self, images):
        return self.body(images)


class Restarting(Model):
    """As docs/ecosystem.md says for trained densities that a checkpoint does not have."""

    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, wconv.WeightedConv2d):
            module.reset_density()


class Layer(PreTrainedModel):
    """A layer written down as such."""

    config_class = Config

    def __init__(self, config):
        super().__init__(config)
        self.conv = wconv.WeightedConv2d(3, 8, 3, density=[0.7])
        self.post_init()

    def forward(self, images):
        return self.conv(images)


class Shared(PreTrainedModel):
    """Two layers that share their density, as docs/ecosystem.md says."""

    config_class = Config
    _tied_weights_keys = {"body.1.density_coefficients": "body.0.density_coefficients"}  # noqa: RUF012

    def __init__(self, config):
        super().__init__(config)
        self.body = nn.Sequential(nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3))
        wconv.convert(self.body, {3: [0.7]}, trainable="shared")
        self.post_init()

    def forward(self, images):
        return self.body(images)


def saved(model: PreTrainedModel, directory) -> PreTrainedModel:
    with torch.no_grad():
        for density in wconv.density_parameters(model):
            density.mul_(0.5)
    model.save_pretrained(directory)
    return model


@pytest.mark.parametrize("kind", [Model, Layer])
def test_a_fixed_density_is_there_after_loading(kind, tmp_path):
    model = saved(kind(Config()), tmp_path)
    assert torch.equal(kind.from_pretrained(tmp_path)(images()), model(images()))
    phi = torch.tensor([[0.49, 0.7, 0.49], [0.7, 1.0, 0.7], [0.49, 0.7, 0.49]])
    layer = kind.from_pretrained(tmp_path).conv if kind is Layer else kind.from_pretrained(tmp_path).body[0]
    expected = nn.functional.conv2d(images(), layer.weight * phi, layer.bias, padding=layer.padding)
    torch.testing.assert_close(layer(images()), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_phi_follows_the_dtype_that_is_asked_for(dtype, tmp_path):
    model = saved(Model(Config()), tmp_path)
    loaded = Model.from_pretrained(tmp_path, dtype=dtype)
    assert loaded.body[0].density.dtype == dtype
    assert torch.equal(loaded(images().to(dtype)), model.to(dtype)(images().to(dtype)))


def test_a_trained_density_comes_from_the_file(tmp_path):
    model = saved(Restarting(Config(conv="trained")), tmp_path)
    loaded = Restarting.from_pretrained(tmp_path)
    assert torch.equal(loaded(images()), model(images()))
    assert loaded.body[0].coefficients == (pytest.approx((0.35,)),) * 2


def test_a_plain_checkpoint_fills_a_fixed_model(tmp_path):
    model = saved(Model(Config(conv="plain")), tmp_path)
    loaded = Model.from_pretrained(tmp_path, config=Config())
    wconv.convert(model, {3: [0.7], 5: [0.2, 0.8]})
    assert torch.equal(loaded(images()), model(images()))


def test_a_plain_checkpoint_leaves_a_trained_density_at_its_start(tmp_path):
    model = saved(Model(Config(conv="plain")), tmp_path)
    loaded = Restarting.from_pretrained(tmp_path, config=Config(conv="trained"))
    assert [layer.coefficients for layer in (loaded.body[0], loaded.body[2])] == [
        (pytest.approx((0.7,)),) * 2, (pytest.approx((0.2, 0.8)),) * 2
    ]  # fmt: skip
    wconv.convert(model, {3: [0.7], 5: [0.2, 0.8]}, trainable=True)
    assert torch.equal(loaded(images()), model(images()))


def test_a_shared_density_is_saved_once_and_shared_again(tmp_path):
    model = saved(Shared(Config(tie_word_embeddings=True)), tmp_path)
    loaded = Shared.from_pretrained(tmp_path)
    assert torch.equal(loaded(images()), model(images()))
    assert loaded.body[0].density_coefficients is loaded.body[1].density_coefficients
    assert loaded.body[0].coefficients == (pytest.approx((0.35,)),) * 2


def test_a_folded_model_loads_into_a_plain_one(tmp_path):
    model = Model(Config())
    expected = model(images())
    wconv.fold(model)
    model.save_pretrained(tmp_path)
    assert torch.equal(Model.from_pretrained(tmp_path, config=Config(conv="plain"))(images()), expected)


def test_an_image_model_of_transformers(tmp_path):
    from transformers import ResNetConfig, ResNetForImageClassification

    torch.manual_seed(0)
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], layer_type="basic", num_labels=3)
    model = ResNetForImageClassification(config).eval()
    wconv.convert(model, {3: [0.7], 7: [0.25, 0.15, 0.55]})
    batch = torch.randn(1, 3, 32, 32)
    expected = model(batch).logits
    model.save_pretrained(tmp_path)
    loaded = ResNetForImageClassification.from_pretrained(tmp_path).eval()
    assert not torch.allclose(loaded(batch).logits, expected)  # its class knows of no density: W alone
    wconv.convert(loaded, {3: [0.7], 7: [0.25, 0.15, 0.55]})
    assert torch.equal(loaded(batch).logits, expected)
    assert torch.equal(wconv.fold(loaded)(batch).logits, expected)
