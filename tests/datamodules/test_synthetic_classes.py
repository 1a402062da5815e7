import hashlib

import torch
import torch.nn.functional as F

from datamodules.synthetic_classes import CLASSES, SyntheticClasses, draw_images

# What seed 0 gives on every machine.
CHECKSUM = "1d1abafdc9298f2042110e657793ef064d666ba8c803a648f957eba741fb94b0"


def test_the_same_images_everywhere():
    images = draw_images(6000, 0, "train").images
    assert hashlib.sha256(images.numpy().tobytes()).hexdigest() == CHECKSUM


def test_seeds_and_parts_are_different_images():
    first = draw_images(40, 0, "train").images
    for other in (draw_images(40, 1, "train"), draw_images(40, 0, "test")):
        assert not (first == other.images).flatten(1).all(1).any()


def test_more_images_leave_the_first_ones_out_of_noise_as_they_are():
    assert torch.equal(draw_images(100, 0, "train").images[:40], draw_images(40, 0, "train").images)


def test_classes_are_balanced_and_named():
    data = SyntheticClasses(400, 40, 0, batch_size=32, seed=0)
    data.load()
    assert data.num_classes == len(set(CLASSES)) == 20
    for part, count in ((data.train, 18), (data.val, 2), (data.test, 2)):
        assert part.labels.bincount().tolist() == [count] * 20


def test_pixels_alone_do_not_tell_the_classes():
    """A linear classifier, trained until it knows its training images well, stays far below 60 %."""
    train, test = draw_images(4000, 0, "train"), draw_images(1000, 0, "test")
    torch.manual_seed(0)
    linear = torch.nn.Linear(3 * 32 * 32, 20)
    optimizer = torch.optim.Adam(linear.parameters(), lr=1e-3)
    inputs = train.images.flatten(1).float() / 127.5 - 1
    for _ in range(15):
        for batch in torch.randperm(len(inputs)).split(100):
            optimizer.zero_grad()
            F.cross_entropy(linear(inputs[batch]), train.labels[batch]).backward()
            optimizer.step()
    accuracy = (linear(test.images.flatten(1).float() / 127.5 - 1).argmax(1) == test.labels).float().mean()
    assert accuracy < 0.6
    print(f"linear: {accuracy:.3f}")
