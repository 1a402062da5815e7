"""From the command line to exit codes; Hydra composes in between."""

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import hydra
from hydra.errors import CompactHydraException
from omegaconf import DictConfig

from wconv.experiment.errors import ConfigError, Interrupted, Stop
from wconv.experiment.overrides import CONFIG_NAME, checked
from wconv.experiment.signals import noted, stop_asked
from wconv.experiment.sweep.launcher import ask
from wconv.experiment.text import visible

# From harmless to bad: of a grid, the worst one is the exit code.
SEVERITY = (0, Interrupted.exit_code, ConfigError.exit_code, Stop.exit_code)


def launch(train: Callable[[DictConfig], None], configs: Path, earlier_signals: Iterable[int] = ()) -> int:
    """Run what the command line asks for: one configuration, or with -m a grid, one after the other.

    Args:
        train: trains one configuration; raises `Stop` where it cannot.
        configs: folder of the configuration.
        earlier_signals: that came while the program was still being imported.

    Returns:
        The exit code: of the run, or the worst one of the grid.
    """
    make_quiet()
    codes = [0]

    here = os.getpid()

    def job(config: DictConfig) -> None:
        if os.getpid() != here:  # a launcher of Hydra runs it elsewhere, and tells this process how it ended
            make_quiet()
            try:
                with noted():
                    train(config)
            except Stop as stop:
                raise CompactHydraException(f"train.py: {stop}") from stop  # of which Hydra prints the sentence alone
            return
        try:
            if stop_asked():
                raise Interrupted(f"stopped by {stop_asked()} before the run had started")
            train(config)
        except Stop as stop:
            codes.append(stop.exit_code)
            report(stop)
            if stop_asked() or isinstance(stop.__cause__, KeyboardInterrupt | SystemExit):
                raise SystemExit(stop.exit_code) from stop  # the rest of a grid is stopped, too

    # The other processes of one machine are started by Lightning, which adds settings of Hydra to the command line.
    added = [word for word in sys.argv[1:] if word.startswith("hydra.")] if "LOCAL_RANK" in os.environ else []
    try:
        words = checked([word for word in sys.argv[1:] if word not in added], configs)
        if advice := ask(words, configs):
            print(advice, flush=True)
        sys.argv[1:] = [*words, *added]
    except ConfigError as error:
        report(error)
        return error.exit_code
    # Hydra insists on writing multirun.yaml somewhere.
    with tempfile.TemporaryDirectory() as scratch, noted(earlier_signals):
        sys.argv.append(f"hydra.sweep.dir={scratch}")
        try:
            hydra.main(version_base="1.3", config_path=str(configs), config_name=CONFIG_NAME)(job)()
        except SystemExit as exit_:
            codes.append(int(exit_.code or 0))
        except KeyboardInterrupt:
            codes.append(Interrupted.exit_code)
            report(Interrupted("stopped before the run had started"))
    return max(codes, key=SEVERITY.index)


def report(stop: Stop) -> None:
    """Print why a run ended; with HYDRA_FULL_ERROR=1 also where."""
    if os.environ.get("HYDRA_FULL_ERROR"):
        logging.getLogger(__name__).error("", exc_info=stop)
    print(f"train.py: {visible(stop)}", file=sys.stderr, flush=True)


def make_quiet() -> None:
    """Leave out what Lightning tells everybody, and show warnings as one line each."""
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.formatwarning = lambda message, *_args, **_kwargs: f"warning: {message}\n"
    # The loaders cut their batches out of one tensor in memory: there is no work for worker processes.
    warnings.filterwarnings("ignore", message=".*does not have many workers")
    warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty")
    warnings.filterwarnings("ignore", message=".*smaller than the logging interval")
    warnings.filterwarnings("ignore", message=".*sync_dist=True")  # torchmetrics has summed over the processes
    warnings.filterwarnings("ignore", message=".*`srun` command is available")  # on a login node, to every run
    warnings.filterwarnings("ignore", message=".*your dataloader is not resumable")  # its data module is
    warnings.filterwarnings("ignore", message=".*LeafSpec")  # PyTorch's word to Lightning
