"""Memory of a run: the parts that can be counted, and the peak of the process."""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

from wconv.experiment.benchmarks.prepared_run import QUARTER_VGG, add_data_argument, images_of_classes, prepared_run
from wconv.experiment.benchmarks.tables import Row

DRAWN = 50_000  # images, as many as CIFAR-100 trains with
STEPS = 5
IMPORTS = "import torch, pytorch_lightning"
# Measured in separate processes, since the peak of a process never falls. VmHWM starts at zero in each program, whereas
# `ru_maxrss` is inherited from the parent process.
PEAK = "; print(int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]) * 1024)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    add_data_argument(parser)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as for train.py (VGG-16 of quarter width)")


def measure(arguments: argparse.Namespace) -> list[Row]:
    """Count the memory that a run needs, and measure that of its process.

    Returns:
        One row per part, in MB of 10^6 bytes.
    """
    choice, name = images_of_classes(arguments.data, DRAWN)
    words = [*QUARTER_VGG, *choice, "trainer.accelerator=cpu", *arguments.overrides]
    count = "import json; from wconv.experiment.benchmarks import memory; print(json.dumps(memory.count({words!r})))"
    train = f"from wconv.experiment.benchmarks import memory; memory.train({words!r})"
    parts: dict[str, int] = json.loads(_output(count.format(words=words)))
    imports, imports_of_run, peak = (
        int(_output(code + PEAK)) for code in (IMPORTS, "import wconv.experiment.training.train", train)
    )
    counted = sum(parts.values())
    seen = {
        f"seen: `{IMPORTS}`": imports,
        "seen: all that train.py imports": imports_of_run,
        f"seen: {STEPS} steps of a run and a validation": peak,
        "seen less imports and what is counted": peak - imports_of_run - counted,
    }
    rows = {f"counted: {part}": size for part, size in parts.items()} | {"counted together": counted} | seen
    return [{"part": part, "MB": size / 1e6, "data": name} for part, size in rows.items()]


def count(words: list[str]) -> dict[str, int]:
    """Count the bytes of tensors that a training step needs, each storage once.

    Args:
        words: overrides of a classification run.
    """
    from torch import Tensor, nn
    from torch.autograd.graph import saved_tensors_hooks

    with prepared_run(words) as run:
        data, model = run.data, run.task.model
        optimizer = run.task.optimizer(model.parameters())
        batch = next(iter(data.train_dataloader()))
        saved: list[Tensor] = []

        def keep(tensor: Tensor) -> Tensor:
            saved.append(tensor)
            return tensor

        with saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = nn.functional.cross_entropy(model(batch[0]), batch[1])
        # Before the backward pass, which frees them.
        own = _storages([*model.parameters(), *model.buffers(), *batch])
        activations = _storages(saved)
        sizes = {"activations kept for the backward pass": sum(activations[key] for key in activations.keys() - own)}
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        state = [value for entry in optimizer.state.values() for value in entry.values() if isinstance(value, Tensor)]
        images = [part.pixels for part in (data.train, data.val, data.test)]
        groups: dict[str, Iterable[Tensor]] = {
            "images, each held once": images,
            "parameters and buffers": [*model.parameters(), *model.buffers()],
            "gradients": [parameter.grad for parameter in model.parameters() if parameter.grad is not None],
            "state of the optimiser": state,
            "a batch": batch,
        }
        return {name: sum(_storages(tensors).values()) for name, tensors in groups.items()} | sizes


def train(words: list[str]) -> None:
    """Train for some steps, and validate."""
    with prepared_run([*words, "trainer.max_epochs=1", f"trainer.limit_train_batches={STEPS}"]) as run:
        run.fit()


def _storages(tensors: Iterable[Any]) -> dict[int, int]:
    """Return the bytes of each storage, by its address."""
    storages = [tensor.untyped_storage() for tensor in tensors]
    return {storage.data_ptr(): storage.nbytes() for storage in storages}


def _output(code: str) -> str:
    """Run Python code in a separate process, and return the last line that it printed."""
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, text=True)
    return done.stdout.strip().splitlines()[-1]
