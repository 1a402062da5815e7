"""The end of a run: write results.json, draw its curves, and print the results."""

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from wconv.experiment.common.metrics import round_to_float32, to_json
from wconv.experiment.common.text import escape_control_characters
from wconv.experiment.runs.provenance import device_name
from wconv.experiment.runs.result import Result
from wconv.experiment.runs.run import Run
from wconv.experiment.runs.run_files import read_table
from wconv.experiment.runs.saved_runs import read_run
from wconv.experiment.tasks.network import describe
from wconv.experiment.tasks.task import Task
from wconv.experiment.training.timing import peak_memory_mb


@rank_zero_only
def write_completed_results(run: Run, trainer: pl.Trainer, task: Task) -> None:
    """Write results.json."""
    history = read_table(run.directory / "metrics.csv")
    chosen = history.iloc[:0]  # a run that ended early, say by trainer.max_steps, may have no validation
    if task.monitor in history:
        chosen = history.sort_values(task.monitor, ascending=task.mode == "min", kind="stable").iloc[:1]
    timing = read_table(run.directory / "timing.csv")
    held_out = {name: float(value) for name in map(str, history) if name.startswith("val/") for value in chosen[name]}
    tested = {name: round_to_float32(float(value)) for name, value in trainer.callback_metrics.items()}
    run.write_results(
        "completed",
        metrics={name: to_json(value) for name, value in (tested | held_out).items()},
        best_epoch=next(iter(map(int, chosen["epoch"])), None),
        epochs=trainer.current_epoch,
        steps=trainer.global_step,
        seconds=float(timing["seconds"].sum()) if len(timing) else 0.0,
        images_per_second=float(timing["images_per_second"].median()) if len(timing) else None,
        peak_memory_mb=peak_memory_mb(),
        device=device_name(trainer.strategy.root_device),
        threads=torch.get_num_threads(),
        **describe(task.model),
        metric_definitions=dict(task.definitions),
    )


@rank_zero_only
def draw_curves(run: Run) -> None:
    """Draw the curves of a finished run, unless there is a figure already."""
    from wconv.experiment.reports.curves import draw_run  # here, because drawing comes last

    figure = run.directory / "images" / "curves.png"
    if not (run.directory / "metrics.csv").exists():  # neither validated nor tested
        return
    if not figure.exists() and (saved := read_run(run.directory)).status == "completed":
        draw_run(saved, figure)


@rank_zero_only
def print_result(result: Result) -> None:
    """Print the results of a run, and its folder in the last line."""
    if result.was_there:
        made_with = result.results["versions"]
        print(
            escape_control_characters(
                f"this run was completed before, with wconv {made_with['wconv']} and torch {made_with['torch']} "
            )
            + "(force=true starts it over)"
        )
    best, epochs = result.results.get("best_epoch"), result.results.get("epochs")
    if isinstance(best, int) and isinstance(epochs, int):
        print(f"tested: the weights after epoch {best + 1} of {epochs}, the best in validation")
    metrics = sorted(result.metrics.items())
    texts = (f"{name} {'nan' if value is None else f'{value:.4g}'}" for name, value in metrics)
    print("  ".join(map(escape_control_characters, texts)))
    print(result.directory, flush=True)
