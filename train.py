"""Train a backbone with standard or weighted convolutions: `python train.py model=vgg conv=weighted`.

compose -> build -> convert -> fit -> test -> results.json
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wconv.experiment.common.checkout import CONFIGS
from wconv.experiment.common.first_imports import without_collections
from wconv.experiment.common.output import tolerate_closed_output
from wconv.experiment.common.signals import deferred_signals

if TYPE_CHECKING:
    from omegaconf import DictConfig

# Imports are inside functions: PyTorch and Lightning take seconds and are needed only for training, and slow imports
# must come after signals are deferred, so that no signal is lost while a job starts.


def train(config: "DictConfig", typed: Sequence[str]) -> None:
    """Train and test one configuration, and print the results."""
    with without_collections():
        from wconv.experiment.training import train as training
        from wconv.experiment.training.results import print_result

    print_result(training.train(config, typed))


def before_grid(arguments: list[str], configs: Path) -> str:
    """Test a grid with SLURM before it is submitted; return a hint on where logs and results will be."""
    from wconv.experiment.sweep.slurm.launcher import check_grid_submission

    return check_grid_submission(arguments, configs)


def main() -> int:
    """Run what the command line asks for and return the exit code."""
    with tolerate_closed_output(drop_lines=True), deferred_signals():
        from wconv.experiment.command_line.launch import run_command_line

        return run_command_line(sys.argv[1:], train, before_grid, CONFIGS)


if __name__ == "__main__":
    sys.exit(main())
