"""trainer.profile=true: a trace and a short table of the training steps, and the run as it would be without."""

import json

import pytest


@pytest.mark.parametrize("epochs", ["1", "3"])  # 9 batches each: too few for the whole window, and more
def test_a_profile_says_where_the_time_of_some_steps_goes(epochs, train):
    options = ("datamodule.train_images=330", "datamodule.batch_size=30", f"trainer.max_epochs={epochs}")
    profiled = train("trainer.profile=true", *options)
    assert profiled.code == 0, profiled.err
    table = (profiled.directory / "profile.md").read_text()
    assert table in profiled.out
    assert "aten::" in table
    assert 5 < len(table.splitlines()) <= 17
    events = json.loads((profiled.directory / "trace.json").read_text())["traceEvents"]
    assert any("convolution" in event.get("name", "") for event in events)
    again = train(*options)
    assert "this run was completed before" in again.out
    assert again.directory == profiled.directory
