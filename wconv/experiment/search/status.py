"""Status of a search: the best densities, the remaining evaluations and time, and the noise between seeds."""

import math
import time
from collections.abc import Callable
from statistics import fmean

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from wconv.experiment.common.text import format_duration
from wconv.experiment.runs.lock import owner_is_alive, read_owner
from wconv.experiment.runs.run_files import read_results
from wconv.experiment.search.history import COMPLETED, FAILED, PRUNED, Evaluation, History
from wconv.experiment.search.settings import Settings

SHOWN = 5
EVERY_SECONDS = 5.0
WIDE = 200


def format_value(settings: Settings, value: float) -> str:
    """Write a value of the metric with its name, e.g. "val accuracy 51.30 %"."""
    metric = settings.metric
    return f"{settings.metric_name} {metric.format(value)}" + (f" {metric.unit}" if metric.unit else "")


def format_difference(settings: Settings, value: float) -> str:
    """Write a difference of values, e.g. "1.20 points"."""
    metric = settings.metric
    return f"{metric.format(value)} {metric.difference_unit}".strip()


def noise_sentence(settings: Settings, history: History) -> str:
    """Return a sentence on the variation between seeds."""
    if math.isnan(history.noise):
        return "the noise of a seed is not known: that takes two seeds (search.seeds) or more"
    spread = format_difference(settings, history.noise)
    return f"noise of a seed: standard deviation {spread} over the seeds of the first two evaluations"


def gain_sentence(settings: Settings, history: History) -> str:
    """Compare the gain of the best density over the published one with the variation between seeds."""
    best, published = history.ranked(settings.sign)[0], history.find(settings.references[1])
    said = f"best: {settings.describe(best.point)}, {format_value(settings, best.mean)}"
    if published is None or published.status != COMPLETED or best.number == published.number:
        return said
    gain = abs(best.mean - published.mean)
    said += f", {format_difference(settings, gain)} better than the published density"
    if math.isnan(history.noise):
        return said
    return said + (", more than the noise of a seed" if gain > history.noise else ", within the noise of a seed")


def seconds_left(settings: Settings, history: History, workers: int = 1) -> float:
    """Estimate the remaining time from the trainings so far; NaN if nothing is known or no end is set."""
    left = settings.evaluations - len(history.tried)
    times = [time for one in history.evaluations for time in _seconds(settings, one)]
    if not times or math.isinf(left):
        return math.nan
    return fmean(times) * len(settings.seeds) * left / max(1, workers)


def _seconds(settings: Settings, one: Evaluation) -> list[float]:
    found = []
    for outcome in one.outcomes:
        try:
            found.append(float(read_results(settings.output_dir / outcome.run)["seconds"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


def progress_line(settings: Settings, history: History, one: Evaluation) -> str:
    """Return a progress line for an evaluation that has just ended."""
    most = "" if math.isinf(settings.evaluations) else f"/{settings.evaluations:.0f}"
    place = f"[{len(history.tried)}{most}]"
    if one.status == COMPLETED:
        result = format_value(settings, one.mean)
    else:
        result = {FAILED: "failed", PRUNED: "given up as hopeless"}[one.status]
    ranked = history.ranked(settings.sign)
    best = (
        f"; best {settings.metric.format(ranked[0].mean)} with {settings.describe(ranked[0].point)}" if ranked else ""
    )
    left = format_duration(seconds_left(settings, history))
    return f"{place} {settings.describe(one.point)}: {result}{best}" + (f"; about {left} left" if left else "")


def workers_at_work(settings: Settings) -> int:
    """Return the number of processes that work on the search."""
    folders = [settings.folder, *(settings.folder / "trials").glob("*")]
    return sum(owner_is_alive(read_owner(folder)) for folder in folders)


def render(settings: Settings, history: History) -> RenderableType:
    """Return the table of the best densities, with a line on the progress and one on the noise."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("density", "evaluation", settings.metric_name, "seeds"):
        table.add_column(heading, no_wrap=True, justify="left" if heading == "density" else "right")
    for one in history.ranked(settings.sign)[:SHOWN]:
        table.add_row(
            settings.describe(one.point), str(one.number), settings.metric.format(one.mean), str(len(one.values))
        )
    most = "" if math.isinf(settings.evaluations) else f" of {settings.evaluations:.0f}"
    workers = workers_at_work(settings)
    counts = {status: sum(one.status == status for one in history.tried) for status in (FAILED, PRUNED)}
    more = "".join(f", {count} {status}" for status, count in counts.items() if count)
    left = format_duration(seconds_left(settings, history, workers))
    done = f"{settings.name}: {len(history.tried)}{most} evaluations done{more}, {workers} at work"
    lines = [done + (f"; about {left} left" if left else ""), noise_sentence(settings, history)]
    return Group(table, *map(Text, lines))


def watch(settings: Settings, load: Callable[[], History]) -> None:
    """Show the status of a search until no worker is left; if the output is not a terminal, print it once."""
    console = Console()
    if not console.is_terminal:
        Console(width=WIDE).print(render(settings, load()))
        return
    with Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(render(settings, load()), refresh=True)
            if not workers_at_work(settings):
                return
            time.sleep(EVERY_SECONDS)
