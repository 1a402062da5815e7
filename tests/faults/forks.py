"""Start one run in two forks of this process, again and again, and print what became of them."""

import os
import sys
from pathlib import Path

folder, times, end = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import torch  # noqa: E402
from fault_harness import CLASSIFIER  # noqa: E402

import train as program  # noqa: E402
import wconv.experiment.training.train  # noqa: E402, F401  # train.py imports it when it starts to train

torch.set_num_threads(1)


def start(number: int) -> int:
    """Return the process id of a fork that trains."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.dup2(1, 2)
        options = ["trainer.max_epochs=1", "trainer.accelerator=cpu", f"seed={number}", f"paths.output_dir={folder}"]
        sys.argv = ["train.py", *CLASSIFIER, *options]
        code = program.main()
        sys.stdout.flush()
        os._exit(code)
    return pid


for number in range(times):
    pids = [start(number), start(number)]
    codes = {pid: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids}
    for pid, code in codes.items():
        print(f"process {pid} ends with {code}")
    print(f"codes {sorted(codes.values())}", end, sep="\n", flush=True)
