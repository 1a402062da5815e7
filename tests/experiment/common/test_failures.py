"""Advice that helps where the error shows."""

import pytest

from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.common.failures import advise

SAID = {
    ValueError("the folder /x does not exist; point datamodule.test_dirs at a folder of images"): "the folder /x does "
    "not exist; name them with --data",
    ConfigError("a; b; c"): "a; b; name them with --data",
    FileNotFoundError(2, "No such file or directory", "/x"): "[Errno 2] No such file or directory: '/x'; name them "
    "with --data",
}


@pytest.mark.parametrize(("error", "message"), SAID.items(), ids=lambda item: type(item).__name__)
def test_the_advice_is_replaced(error, message):
    with pytest.raises(ConfigError) as raised, advise("name them with --data"):
        raise error
    assert str(raised.value) == message


def test_a_bug_stays_one():
    with pytest.raises(TypeError), advise("name them with --data"):
        raise TypeError("a; b")
