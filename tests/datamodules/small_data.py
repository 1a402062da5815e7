"""What tests of data read from folders share: drawn images, and errors of one sentence."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image


def draw_image(seed: int, height: int = 8, width: int = 8, channels: int = 3) -> Image.Image:
    """Return an image of random pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(pixels.squeeze())


def refused(call: Callable[..., Any], *words: str, **options: Any) -> None:
    """Expect one sentence that contains all words, when something is called with options."""
    with pytest.raises(ValueError, match=re.escape(words[0])) as caught:
        call(**options)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message
