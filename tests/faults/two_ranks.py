"""One of two processes that train the same run again and again, with a signal to one of them each time."""

import os
import signal
import sys
from pathlib import Path

folder, rank = Path(sys.argv[1]), int(os.environ["RANK"])
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import torch  # noqa: E402
from fault_harness import ALWAYS, CLASSIFIER  # noqa: E402

import train as program  # noqa: E402
from wconv.experiment.training.guard import Guard  # noqa: E402

torch.set_num_threads(1)
batches_left: list[int] = []
original = Guard.on_train_batch_end


def signalled(self, *arguments) -> None:
    """Send this process a signal in the middle of what it does, if it is its turn."""
    if batches_left:
        batches_left[0] -= 1
        if batches_left[0] == 0:
            os.kill(os.getpid(), signal.SIGUSR1 if rank else signal.SIGTERM)
    original(self, *arguments)


Guard.on_train_batch_end = signalled
options = (*CLASSIFIER, *ALWAYS, "trainer.devices=2", "trainer.strategy=ddp", f"paths.output_dir={folder / 'runs'}")
codes = []
for attempt in range(11):
    batches_left[:] = [1 + 2 * attempt] if attempt < 10 and attempt % 2 == rank else []
    sys.argv = ["train.py", *options]
    codes.append(program.main())
    (folder / f"codes{rank}").write_text(" ".join(map(str, codes)))
    if codes[-1] not in (0, 75):
        sys.exit(1)
