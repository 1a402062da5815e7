"""Noise: of the right strength, the same where it should be and another everywhere else."""

import pytest
import torch
from torch import Tensor

from wconv.experiment.tasks.noise import GaussianNoise
from wconv.experiment.tasks.random_streams import derive_seed

KEY = (0, 3, 7, 1)  # seed, epoch, step, rank
ALWAYS = [-0.6118079, 1.2741119, -0.9290463, -0.6692268]


def grey(count: int = 1, size: int = 128) -> Tensor:
    return torch.full((count, 1, size, size), 0.5)


def noise_of(noisy: Tensor) -> Tensor:
    return (noisy - 0.5) * 255


@pytest.mark.parametrize("sigma", [5, 25.0, 50])
def test_training_noise_is_white_and_as_strong_as_asked_for(sigma):
    noise = noise_of(GaussianNoise(sigma).add_training_noise(grey(8), *KEY))
    assert float(noise.std()) == pytest.approx(sigma, rel=0.01)  # of 131,072 draws: five standard errors
    assert abs(float(noise.mean())) < 0.015 * sigma
    standard = noise / sigma
    for shifted in (standard.roll(1, 0), standard.roll(1, 2), standard.roll(1, 3)):
        assert abs(float((standard * shifted).mean())) < 0.015
    assert float(standard.pow(4).mean()) == pytest.approx(3, rel=0.05)  # a Gaussian's


@pytest.mark.parametrize("sigma", [25, [0, 55]])
def test_training_noise_follows_from_its_key_alone(sigma):
    noise = GaussianNoise(sigma)
    first = noise.add_training_noise(grey(2), *KEY)
    torch.rand(17)  # whatever else is drawn meanwhile
    assert torch.equal(noise.add_training_noise(grey(2), *KEY), first)
    for place in range(len(KEY)):
        other = [value + (index == place) for index, value in enumerate(KEY)]
        assert not torch.isclose(noise.add_training_noise(grey(2), *other), first).float().mean() > 0.01


def test_drawing_noise_leaves_the_global_stream_alone():
    state = torch.get_rng_state()
    noise = GaussianNoise([0, 55])
    noise.add_training_noise(grey(), *KEY)
    noise.add_test_noise(grey(), 0, 0)
    assert torch.equal(torch.get_rng_state(), state)


def test_keys_are_not_run_together():
    keys = [(1, 11), (11, 1), (111,), (1, 1, 1), ("noise", 1, 11), ("test noise", 1, 11)]
    assert len({derive_seed(*key) for key in keys}) == len(keys)


def test_a_range_gives_every_image_a_level_of_its_own():
    noisy = GaussianNoise([10, 50]).add_training_noise(grey(400, 32), *KEY)
    levels = noise_of(noisy).flatten(1).std(1)
    assert 9 < levels.min() < 13
    assert 47 < levels.max() < 54
    assert float(levels.mean()) == pytest.approx(30, abs=2.5)  # uniform: standard error 0.58
    assert float(levels.std()) == pytest.approx(40 / 12**0.5, abs=1.5)


@pytest.mark.parametrize(("sigma", "level"), [(25, 25), ([0, 55], 27.5), ((30, 30), 30), (0, 0)])
def test_evaluation_is_at_the_middle(sigma, level):
    noise = GaussianNoise(sigma)
    assert noise.level == level
    assert torch.equal(noise.add_test_noise(grey(), 0, 0), GaussianNoise(level).add_test_noise(grey(), 0, 0))
    assert float(noise_of(noise.add_test_noise(grey(), 0, 0)).std()) == pytest.approx(level, rel=0.02)


def test_test_noise_follows_from_test_seed_and_position_alone():
    draw = GaussianNoise(25).add_test_noise
    first = draw(grey(), 0, 5)
    torch.rand(17)
    assert torch.equal(draw(grey(), 0, 5), first)
    assert not torch.isclose(draw(grey(), 0, 6), first).float().mean() > 0.01
    assert not torch.isclose(draw(grey(), 1, 5), first).float().mean() > 0.01
    # Another level is the same noise, scaled: levels are compared on the same draw.
    twice = noise_of(GaussianNoise([0, 100]).add_test_noise(grey(), 0, 5))
    assert torch.allclose(twice, 2 * noise_of(first), atol=1e-4)


def test_test_noise_is_the_one_it_has_always_been():
    """Or PSNR figures of earlier runs could not be compared with those of later ones."""
    noise = GaussianNoise(255).add_test_noise(torch.zeros(1, 1, 2, 2), 0, 0)
    assert noise.flatten().tolist() == pytest.approx(ALWAYS, abs=1e-6)


def test_noisy_images_leave_the_range_unless_they_are_clipped():
    black_and_white = torch.tensor([0.0, 1.0]).expand(1, 1, 32, 2)
    for draw in (
        lambda noise: noise.add_training_noise(black_and_white, *KEY),
        lambda noise: noise.add_test_noise(black_and_white, 0, 0),
    ):
        free, clipped = draw(GaussianNoise(50)), draw(GaussianNoise(50, clip=True))
        assert free.min() < 0 < 1 < free.max()
        assert torch.equal(clipped, free.clamp(0, 1))


def test_no_noise_is_none():
    image = torch.rand(2, 3, 8, 8)
    assert torch.equal(GaussianNoise(0).add_training_noise(image, *KEY), image)
    assert torch.equal(GaussianNoise(0).add_test_noise(image[:1], 0, 0), image[:1])
