"""Print the status of a sweep as a table, on a terminal or to a file."""

import math
import shlex
import time
from collections.abc import Callable
from itertools import groupby
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from wconv.experiment.common.text import format_duration
from wconv.experiment.sweep.state import KINDS, State, format_counts, seconds_left

COLOURS = {"done": "green", "running": "cyan", "failed": "red", "stopped": "yellow", "pending": "dim"}
COLUMNS: dict[str, dict[str, Any]] = {
    "run": {"no_wrap": True},
    "state": {"no_wrap": True},
    "epoch": {"justify": "right", "no_wrap": True},
    "left": {"justify": "right", "no_wrap": True},
    "": {"overflow": "fold"},
}
NAMED = ("model", "conv", "seed")  # already in the name of a run
WIDE = 200
REFRESH = 5  # seconds
SHOWN = 25  # rows shown per state; the rest is counted


def print_states(name: str, found: list[State]) -> None:
    """Print the status of a sweep."""
    _console().print(render_states(name, found, SHOWN))


def watch_states(name: str, get_states: Callable[[], list[State]]) -> None:
    """Show the status of a sweep while it runs; if the output is not a terminal, print it once."""
    console = _console()
    found = get_states()
    if not console.is_terminal or not any(state.queued for state in found):
        console.print(render_states(name, found, SHOWN))
        return
    trouble = ""
    with Live(console=console, auto_refresh=False) as live:
        while True:
            rows = max(2, (console.height - 8) // len(KINDS))
            live.update(
                Group(render_states(name, found, rows), *([Text(trouble, "red")] if trouble else [])), refresh=True
            )
            if not any(state.queued for state in found):
                return
            time.sleep(REFRESH)
            try:
                found, trouble = get_states(), ""
            except ValueError as error:  # SLURM does not answer: try again at the next refresh
                trouble = str(error)


def _console() -> Console:
    """Return the console; if the output is redirected, with long lines."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDE)


def render_states(name: str, found: list[State], most: int) -> RenderableType:
    """Return the table, with at most `most` rows per state, and a summary line."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, options in COLUMNS.items():
        table.add_column(heading, **options)
    ordered = sorted(found, key=lambda state: KINDS.index(state.kind))
    differs = _differences(found)
    for kind, group in groupby(ordered, key=lambda state: state.kind):
        rows, mark = list(group), Text(kind, style=COLOURS[kind])
        for state in rows[:most]:
            epoch = f"{state.epoch}/{state.row.epochs}" if state.epoch else ""
            left = (state.row.epochs - state.epoch) * state.epoch_seconds if kind == "running" else math.nan
            words = "  ".join(filter(None, (differs(state), state.metric, state.note)))
            table.add_row(state.row.directory.name, mark, epoch, format_duration(left), Text(words))
        if len(rows) > most:
            table.add_row(f"... and {len(rows) - most:,} more", mark)
    return Group(table, Text(summary(name, found)))


def _differences(found: list[State]) -> Callable[[State], str]:
    """Return a function that formats the overrides of a run that not all runs share."""
    shared = set.intersection(*(set(state.row.arguments.split()) for state in found)) if found else set()

    def of(state: State) -> str:
        own = [word for word in state.row.overrides if not shared.issuperset(shlex.quote(word).split())]
        return " ".join(word for word in own if word.partition("=")[0] not in NAMED)

    return of


def summary(name: str, found: list[State]) -> str:
    """Return one line on all runs."""
    left = format_duration(seconds_left(found))
    return f"{name}: {len(found):,} runs: {format_counts(found)}" + (f"; about {left} left" if left else "")
