"""Confirmation of a search: the best density against the published one and the standard convolution, on fresh seeds.

The best of many densities is partly the luckiest, so its value in the search is too high on average. Therefore it is
trained again with seeds that the search has not used, and tested.
"""

import sys
from pathlib import Path

from wconv.experiment import run
from wconv.experiment.common.exceptions import ConfigError, Interrupted, RunError
from wconv.experiment.common.files import write_atomically
from wconv.experiment.common.text import escape_control_characters
from wconv.experiment.reports.comparison import Comparison
from wconv.experiment.reports.effects import find_effects
from wconv.experiment.reports.tables import to_markdown
from wconv.experiment.runs.saved_runs import SavedRun, read_run
from wconv.experiment.search.objective import run_folder
from wconv.experiment.search.settings import Point, Settings

FILE = "confirmation.md"


def confirm(settings: Settings, best: Point) -> str:
    """Train and test the best density and the references on fresh seeds, and return a report.

    Args:
        settings: of the search.
        best: the best density of the search.

    Raises:
        Interrupted: the process was stopped, or another process holds a run.
        RunError: no run was completed.
    """
    standard, published = settings.references
    runs: dict[Point, list[SavedRun]] = {}
    points = list(dict.fromkeys([standard, published, best]))
    for number, seed in enumerate(settings.fresh_seeds, 1):
        for point in points:
            folder = _train(settings, point, seed)
            runs.setdefault(point, []).append(read_run(folder))
        print(f"confirmation: seed {seed} ({number}/{len(settings.fresh_seeds)})", flush=True)
    try:
        text = _compare([one for some in runs.values() for one in some], ["conv=standard"])
        if best not in settings.references:
            of_density = runs[published][0].features.get("density")
            text += "\n\n" + _sentences([*runs[published], *runs[best]], [f"density={of_density}"])
    except ValueError as error:
        raise RunError(f"nothing could be confirmed: {error}") from error
    write_atomically(settings.folder / FILE, f"{text}\n".encode())
    return text


def _train(settings: Settings, point: Point, seed: int) -> Path:
    """Train and test; a run that fails has no result, and the table counts it."""
    words = settings.training(point, seed)
    try:
        return run(words).directory
    except (ConfigError, Interrupted):
        raise
    except RunError as error:
        folder = run_folder(settings, words)
        print(f"warning: {folder.name}: {escape_control_characters(error)}", file=sys.stderr, flush=True)
        return folder


def _compare(runs: list[SavedRun], against: list[str]) -> str:
    comparison = Comparison(runs)
    return to_markdown(comparison, find_effects(comparison, against))


def _sentences(runs: list[SavedRun], against: list[str]) -> str:
    effects = find_effects(Comparison(runs), against)
    assert effects is not None
    return "\n".join([f"{effects.title}:", "", *(f"- {effect.sentence}" for effect in effects.rows)])
