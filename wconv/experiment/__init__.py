"""The experiment framework around Lightning: configuration, tasks, run folders, results.

To run an experiment from Python, call one function: `from wconv.experiment import run`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wconv.experiment.runs.result import Result


def run(words: Sequence[str]) -> "Result":
    """Train and test the run that arguments of train.py describe, or read its result if it is finished.

    Args:
        words: arguments of `train.py`, e.g. ["model=vgg", "conv=weighted", "seed=1"]; no options, no grid.

    Returns:
        The folder of the run, the content of results.json, and the curves.

    Raises:
        ConfigError: the arguments, or the data on the disk, are wrong.
        Interrupted: the run was stopped, or another process holds it; the same call resumes it.
        RunError: it failed.
    """
    # Imported here, so that importing the exceptions does not load PyTorch and Lightning, which takes seconds.
    from wconv.experiment.command_line.arguments import parse_command_line
    from wconv.experiment.common.checkout import CONFIGS
    from wconv.experiment.common.exceptions import ConfigError
    from wconv.experiment.common.output import tolerate_closed_output
    from wconv.experiment.common.signals import deferred_signals
    from wconv.experiment.training.train import train

    with tolerate_closed_output(drop_lines=True), deferred_signals():
        line = parse_command_line(words, CONFIGS)
        if line.config is None:
            raise ConfigError(f"{' '.join(words)}: run() takes the arguments of a single run, without options")
        return train(line.config, line.overrides)
