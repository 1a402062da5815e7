"""Run a sweep on this machine, with several processes in parallel."""

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from rich.console import Console, Group
from rich.live import Live

from wconv.experiment.common.cores import available_cores
from wconv.experiment.common.exceptions import SEVERITY, Interrupted, worst_exit_code
from wconv.experiment.common.output import tolerate_closed_output
from wconv.experiment.sweep import status_table
from wconv.experiment.sweep.launches import LOCK, Launch, new_launch
from wconv.experiment.sweep.manifest import Row, Sweep
from wconv.experiment.sweep.state import State

INTERRUPTED = Interrupted.exit_code
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def local_launch(sweep: Sweep, rows: list[Row]) -> Iterator[Launch]:
    """Make a launch on this machine, which counts as running until the context ends.

    Raises:
        ValueError: the sweep asks for a GPU, and there is none.
    """
    import torch  # in functions, because it is slow, and --list and --status do not need it

    if sweep.settings.asks_for_gpu and not torch.cuda.is_available():
        raise ValueError(
            f"{sweep.name} asks for a GPU (trainer.accelerator=gpu) and this machine shows none; "
            "add trainer.accelerator=auto to train on what there is"
        )
    launch = new_launch(sweep.folder, rows)
    with FileLock(launch.folder / LOCK):
        yield launch


def run_locally(
    name: str, launch: Launch, rows: list[Row], at_once: int, root: Path, get_states: Callable[[], list[State]]
) -> int:
    """Run some rows and return the worst exit code; a run that fails does not stop the others.

    Ctrl-C, SIGTERM and SIGHUP are passed on: the runs save a checkpoint, and no further run starts.

    Args:
        name: of the sweep.
        launch: of the rows.
        rows: what to run.
        at_once: number of parallel processes.
        root: folder of train.py.
        get_states: returns the states of all runs.
    """
    with tolerate_closed_output(drop_lines=True):
        return _Workers(launch, rows, at_once, root).work(name, get_states)


class _Workers:
    def __init__(self, launch: Launch, rows: list[Row], at_once: int, root: Path) -> None:
        self.launch = launch
        self.root = root
        self.count = len(rows)
        self.waiting = deque(enumerate(rows))
        self.at_work: dict[int, tuple[subprocess.Popen[bytes], int, Row]] = {}  # by lane
        self.lanes = range(at_once)
        self.stopping = False
        self.codes = [0]
        self.started = time.monotonic()

    def work(self, name: str, get_states: Callable[[], list[State]]) -> int:
        console = Console()
        before = {number: signal.signal(number, self._stop) for number in self._heeded()}
        try:
            with Live(console=console, auto_refresh=False) as live:
                shown = 0.0
                while self.at_work or (self.waiting and not self.stopping):
                    self._start()
                    time.sleep(0.2)
                    for line in self._collect():
                        if not console.is_terminal:
                            print(line, flush=True)
                    if console.is_terminal and time.monotonic() - shown > 2:
                        shown = time.monotonic()
                        states = status_table.render_states(name, get_states(), 8)
                        live.update(Group(states, self._speed()), refresh=True)
                if console.is_terminal:
                    live.update("", refresh=True)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return INTERRUPTED if self.stopping else worst_exit_code(self.codes)

    def _start(self) -> None:
        for lane in self.lanes:
            if lane in self.at_work or not self.waiting or self.stopping:
                continue
            number, row = self.waiting.popleft()
            with self.launch.log(row.directory).open("ab") as log:
                process = subprocess.Popen(
                    [sys.executable, str(self.root / "train.py"), *row.overrides],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=os.environ | self._environment(lane),
                    start_new_session=True,  # so that Ctrl-C reaches it only through _stop
                )
            self.at_work[lane] = process, number, row

    def _environment(self, lane: int) -> dict[str, str]:
        """Assign cores and GPUs; an OMP_NUM_THREADS set by the user is kept."""
        import torch

        threads = max(1, available_cores() // len(self.lanes))
        shared = {"WCONV_SWEEP": self.launch.folder.parents[1].name}
        shared["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", str(threads))
        if gpus := torch.cuda.device_count():
            names = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(gpus)))).split(",")
            shared["CUDA_VISIBLE_DEVICES"] = names[lane % len(names)]
        return shared

    def _collect(self) -> list[str]:
        """Record the runs that have ended; return a line on each."""
        lines = []
        for lane, (process, number, row) in list(self.at_work.items()):
            code = process.poll()
            if code is None:
                continue
            del self.at_work[lane]
            code = 128 - code if code < 0 else code
            self.codes.append(code if code in SEVERITY else 1)
            if code != INTERRUPTED:
                with (self.launch.folder / "ended" / "0").open("a") as file:
                    file.write(f"{number} {code}\n")
            words = {0: "done", INTERRUPTED: "stopped"}.get(code, f"failed with exit code {code}")
            more = "" if code == 0 else f": {self.launch.last_error_message(row.directory)}"
            lines.append(f"[{self._over()}/{self.count}] {row.directory.name} {words}{more}; {self._speed()}")
        return lines

    def _over(self) -> int:
        return self.count - len(self.waiting) - len(self.at_work)

    def _speed(self) -> str:
        return speed(self._over(), time.monotonic() - self.started)

    @staticmethod
    def _heeded() -> list[signal.Signals]:
        return [
            number for number in STOP_SIGNALS if signal.getsignal(number) != signal.SIG_IGN
        ]  # nohup leaves SIGHUP ignored

    def _stop(self, *_signal: object) -> None:
        self.stopping = True
        for process, *_ in self.at_work.values():
            process.terminate()


def speed(runs: int, seconds: float) -> str:
    """Return how many runs have ended per hour, in words."""
    rate = runs / seconds * 3600
    return f"{rate:.3g} runs an hour" if rate < 100 else f"{rate:.0f} runs an hour"  # .3g makes 1.22e+03 of 1224
