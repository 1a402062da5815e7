"""Workers of a search: parallel processes on this machine, or the tasks of a SLURM array."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf

from wconv.experiment.common.checkout import ROOT
from wconv.experiment.common.cores import available_cores
from wconv.experiment.common.exceptions import Interrupted, RunError
from wconv.experiment.common.signals import stop_signal
from wconv.experiment.search.settings import Settings
from wconv.experiment.sweep.launches import Launch
from wconv.experiment.sweep.manifest import SHARED_KEYS, Row, Sweep
from wconv.experiment.sweep.manifest import Settings as Shared
from wconv.experiment.sweep.slurm import submit

PROGRAM = "scripts/search.py"


def run_workers(words: Sequence[str], count: int) -> None:
    """Start parallel workers and wait for them; stop signals are passed on.

    Nothing is lost if one is killed: another worker, or this process at the end, continues its trial.

    Raises:
        Interrupted: a signal asked to stop.
        RunError: a worker has stopped the search.
    """
    threads = os.environ.get("OMP_NUM_THREADS", str(max(1, available_cores() // count)))
    command = [sys.executable, str(ROOT / PROGRAM), *words, "--worker"]
    environments = [os.environ | {"OMP_NUM_THREADS": threads} | _gpu(number) for number in range(count)]
    # In their own sessions, so that Ctrl-C reaches them only once, through this process.
    workers = [
        subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, start_new_session=True)
        for environment in environments
    ]
    told = False
    try:
        while any(worker.poll() is None for worker in workers):
            if stop_signal() and not told:
                told = True
                _tell(workers)
            time.sleep(0.2)
    except BaseException:
        _tell(workers)
        raise
    if told:
        raise Interrupted(f"stopped by {stop_signal()}; run the same command to continue")
    if any(worker.returncode in (1, 2) for worker in workers):
        raise RunError("a worker has stopped the search; it says above why")


def _tell(workers: Sequence["subprocess.Popen[bytes]"]) -> None:
    for worker in workers:
        if worker.poll() is None:
            worker.send_signal(signal.SIGTERM)


def _gpu(number: int) -> dict[str, str]:
    """Return the environment that selects the GPU of a worker, if there are several."""
    import torch  # here, so that --help does not wait for it

    if not (count := torch.cuda.device_count()):
        return {}
    names = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(count)))).split(",")
    return {"CUDA_VISIBLE_DEVICES": names[number % len(names)]}


def submit_workers(settings: Settings, words: Sequence[str], count: int) -> Launch:
    """Submit workers as an array, with the code that submits sweeps.

    Args:
        settings: of the search.
        words: its command line, with absolute paths.
        count: number of workers.

    Raises:
        ValueError: SLURM refuses them; the message names the setting.
    """
    config = settings.config
    values = {name: OmegaConf.select(config, name) for name in SHARED_KEYS}
    shared = {
        name: OmegaConf.to_container(value) if OmegaConf.is_config(value) else value for name, value in values.items()
    }
    arguments = shlex.join(words)
    rows = [
        Row(settings.folder / f"worker{number}", config.model.name, config.trainer.max_epochs, arguments)
        for number in range(count)
    ]
    sweep = Sweep(f"search-{settings.name}", settings.folder, rows, Shared(shared), program=PROGRAM)
    return submit.submit(sweep, rows, Path(ROOT))
