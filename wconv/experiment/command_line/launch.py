"""Run the command line of train.py and return an exit code; Hydra shows the configuration and runs grids."""

import logging
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from omegaconf import DictConfig

from wconv.experiment.command_line.arguments import parse_command_line
from wconv.experiment.command_line.overrides import LAUNCHER
from wconv.experiment.common.checkout import CONFIG_NAME
from wconv.experiment.common.exceptions import Interrupted, RunError, worst_exit_code
from wconv.experiment.common.failures import save_traceback
from wconv.experiment.common.library_output import format_warnings_as_one_line
from wconv.experiment.common.signals import deferred_signals, stop_signal
from wconv.experiment.common.text import escape_control_characters
from wconv.experiment.common.value_rules import check_values

Train = Callable[[DictConfig, Sequence[str]], None]


def run_command_line(
    arguments: Sequence[str], train: Train, before_grid: Callable[[list[str], Path], str], configs: Path
) -> int:
    """Run one configuration, or with -m the configurations of a grid, one after the other.

    Args:
        arguments: the command line without the program.
        train: trains one configuration and prints its result, given the overrides that it was composed with; raises
            `RunError` if it fails.
        before_grid: checks a grid that a launcher runs elsewhere, and returns a message for the user.
        configs: folder of the configuration.

    Returns:
        The exit code: of the run, or the worst one of the grid.
    """
    format_warnings_as_one_line()
    try:
        line = parse_command_line(arguments, configs)
        if line.config is not None:
            _check_signals()
            train(line.config, line.overrides)
            return 0
        if line.shown:
            print(line.shown, end="")
            return 0
        if any(word.startswith(f"{LAUNCHER}=") for word in line.overrides):
            print(before_grid(line.arguments, configs), flush=True)
    except Exception as error:
        return print_error(error)
    except KeyboardInterrupt:
        return print_error(Interrupted("stopped before the run had started"))
    return _hydra(line.arguments, train, configs)


def _hydra(arguments: list[str], train: Train, configs: Path) -> int:
    """Let Hydra show the configuration, or run a grid."""
    codes = [0]
    here = os.getpid()

    def job(config: DictConfig) -> None:
        typed = list(HydraConfig.get().overrides.task)
        if os.getpid() != here:  # run elsewhere by a Hydra launcher, which reports the outcome to this process
            format_warnings_as_one_line()
            try:
                with deferred_signals():
                    check_values(config)
                    train(config, typed)
            except RunError as error:
                raise CompactHydraException(f"train.py: {error}") from error  # Hydra prints only its message
            return
        try:
            _check_signals()
            check_values(config)
            train(config, typed)
        except Exception as error:
            codes.append(print_error(error))
            if stop_signal() or isinstance(error.__cause__, KeyboardInterrupt | SystemExit):
                raise SystemExit(codes[-1]) from error  # also stops the rest of a grid

    # Hydra reads sys.argv, and always writes multirun.yaml somewhere.
    with tempfile.TemporaryDirectory() as scratch:
        sys.argv[1:] = [*arguments, f"hydra.sweep.dir={scratch}"]
        try:
            hydra.main(version_base="1.3", config_path=str(configs), config_name=CONFIG_NAME)(job)()
        except SystemExit as exit_:
            codes.append(int(exit_.code or 0))
        except KeyboardInterrupt:
            codes.append(print_error(Interrupted("stopped before the run had started")))
    return worst_exit_code(codes)


def _check_signals() -> None:
    if stop_signal():
        raise Interrupted(f"stopped by {stop_signal()} before the run had started")


def print_error(error: Exception) -> int:
    """Print why a run ended (with HYDRA_FULL_ERROR=1, also the traceback) and return the exit code."""
    ended = error if isinstance(error, RunError) else save_traceback(error)
    if os.environ.get("HYDRA_FULL_ERROR"):
        logging.getLogger(__name__).error("", exc_info=error)
    print(f"train.py: {escape_control_characters(ended)}", file=sys.stderr, flush=True)
    return ended.exit_code
