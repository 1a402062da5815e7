"""Profile training steps: `trainer.profile=true` writes trace.json and profile.md to the folder of the run."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch.profiler import profile, schedule

from wconv.experiment.common.files import write_atomically

WAIT, WARM_UP, STEPS = 5, 2, 5  # batches: skipped, profiled but discarded, profiled
ROWS = 15


class Profile(pl.Callback):
    """Profile a few training steps, after the first ones, which are slower.

    Lightning's own profiler covers validation and test as well, and its table has a line for each of its hooks.

    Args:
        directory: of the run.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start to count batches."""
        batches = schedule(wait=WAIT, warmup=WARM_UP, active=STEPS, repeat=1)
        self.profiler = profile(
            schedule=batches,
            on_trace_ready=self._write if trainer.is_global_zero else None,
        )
        self.profiler.start()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any) -> None:
        """Advance the profiler to the next batch."""
        self.profiler.step()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the profile of a run that ends earlier."""
        self.profiler.stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Stop the profiler, so that the next run of this process can start its own."""
        if trainer.training:
            self.profiler.stop()

    def _write(self, profiler: Any) -> None:
        import pandas as pd  # here: a run trains before it needs it

        profiler.export_chrome_trace(str(self.directory / "trace.json"))
        on_gpu = torch.cuda.is_available()
        steps = max(profiler.step_num - WAIT - WARM_UP, 1)
        rows = pd.DataFrame(
            {
                "operation": event.key[:60],
                "calls a step": event.count / steps,
                "ms a step": (event.self_device_time_total if on_gpu else event.self_cpu_time_total) / 1000 / steps,
            }
            for event in profiler.key_averages()
            if not event.key.startswith("ProfilerStep")
        ).sort_values("ms a step", ascending=False)
        rows["share"] = (rows["ms a step"] / rows["ms a step"].sum()).map("{:.0%}".format)
        text = rows.head(ROWS).to_markdown(index=False, floatfmt=".4g") + "\n"
        write_atomically(self.directory / "profile.md", text.encode())
        print(f"{text}trace for chrome://tracing or ui.perfetto.dev: {self.directory / 'trace.json'}", flush=True)
