"""What an experiment needs around Lightning: configuration, tasks, run folders, results.

From Python, a run is one function: `from wconv.experiment import run`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wconv.experiment.runs.result import Result


def run(words: Sequence[str]) -> "Result":
    """Train and test what a command line of train.py describes, or read the result if that is done already.

    Args:
        words: as behind `python train.py`, e.g. ["model=vgg", "conv=weighted", "seed=1"]; no options, no grid.

    Returns:
        The folder of the run, what results.json says, and the curves.

    Raises:
        ConfigError: the words, or the data on the disk, are wrong.
        Interrupted: the run was stopped, or another process holds it; the same words resume it.
        RunError: it failed.
    """
    # Here, because PyTorch and Lightning take seconds to import, and the exceptions shall not.
    from wconv.experiment.command_line.arguments import parse_command_line
    from wconv.experiment.common.checkout import CONFIGS
    from wconv.experiment.common.exceptions import ConfigError
    from wconv.experiment.common.output import tolerate_closed_output
    from wconv.experiment.common.signals import deferred_signals
    from wconv.experiment.training.train import train

    with tolerate_closed_output(drop_lines=True), deferred_signals():
        line = parse_command_line(words, CONFIGS)
        if line.config is None:
            raise ConfigError(f"{' '.join(words)}: run takes the words of a single run, without options")
        return train(line.config, line.overrides)
