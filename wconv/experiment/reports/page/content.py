"""Elements of a page: figures, each with its table, and rows that a reader can filter."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from wconv.experiment.common.metrics import METRICS, PRIMARY, Metric
from wconv.experiment.common.text import LINE, escape_control_characters
from wconv.experiment.reports.comparison import Comparison, Group
from wconv.experiment.reports.effects import Effects
from wconv.experiment.reports.histories import read_history
from wconv.experiment.reports.page.palette import paint
from wconv.experiment.reports.pairing import STANDARD, Reference
from wconv.experiment.reports.row_names import name_rows
from wconv.experiment.runs import arm_styles
from wconv.experiment.runs.run_files import read_results
from wconv.experiment.runs.saved_runs import SavedRun


def plain(value: object) -> str:
    """Return a text from a file as one line of moderate length, with invisible characters escaped."""
    text = escape_control_characters(value)
    return text if len(text) <= LINE else f"{text[: LINE - 1]}…"


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        cells: texts.
        model: by which the page can hide the row; empty for a row that always stays.
        arm: likewise.
        colour: of the arm, as CSS; empty for none.
    """

    cells: Sequence[str]
    model: str = ""
    arm: str = ""
    colour: str = ""


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        caption: what it shows.
        columns: headings.
        rows: with one cell per column.
        texts: columns that hold texts; the others hold numbers.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Row]
    texts: Collection[str]


@dataclass(frozen=True)
class Figure:
    """A figure for Vega-Lite.

    Attributes:
        title: shown above it.
        description: text alternative for screen readers, with the main result if it can be stated.
        spec: of Vega-Lite.
        table: the numbers behind it.
        model: the only model in it, with which the page hides it; empty for several.
        choices: labels of the fields that the horizontal axis can show; empty if there is no choice.
    """

    title: str
    description: str
    spec: Mapping[str, Any]
    table: Table | None = None
    model: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Line:
    """A group of runs, with its name and colour on the page.

    Attributes:
        group: the runs.
        panel: name of the setting, which compared groups share.
        name: name of the arm.
        colour: #rrggbb.
    """

    group: Group
    panel: str
    name: str
    colour: str
    unread: list[str] = field(default_factory=list)

    @property
    def model(self) -> str:
        """Name of the backbone."""
        return plain(self.group.features["model"])

    @property
    def arm(self) -> str:
        """Name of the arm."""
        return plain(self.group.features["conv"])

    @property
    def title(self) -> str:
        """Panel and name."""
        return f"{self.panel}: {self.name}"

    @property
    def marks(self) -> dict[str, str]:
        """Fields of each of its marks in a figure, for filtering and colour."""
        return {
            "model": self.model,
            "arm": self.arm,
            "name": self.name,
            "line": self.title,
            "paint": paint(self.colour),
        }

    def row(self, *cells: str) -> Row:
        """Make a row that the page hides together with the group."""
        return Row(cells, self.model, self.arm, paint(self.colour))

    @cached_property
    def histories(self) -> list[pd.DataFrame]:
        """The epochs of its runs; those that cannot be read are named in `unread`."""
        return self._read(self.group.counted.values())

    @cached_property
    def diverged(self) -> list[pd.DataFrame]:
        """The epochs of its diverged runs."""
        return self._read(run for run in self.group.diverged.values() if (run.folder / "metrics.csv").exists())

    @cached_property
    def results(self) -> list[dict[str, Any]]:
        """The content of results.json of its runs."""
        return [read_results(run.folder) for run in self.group.counted.values()]

    def _read(self, runs: Iterable[SavedRun]) -> list[pd.DataFrame]:
        found = []
        for run in runs:
            try:
                found.append(read_history(run))
            except ValueError as error:
                self.unread.append(str(error))
        return found


@dataclass(frozen=True)
class Part:
    """The runs of one task, with a name and a colour for each group.

    Attributes:
        comparison: the groups.
        effects: of the groups against a reference; None without one.
        lines: one per group, in the same order.
    """

    comparison: Comparison
    effects: Effects | None
    lines: Sequence[Line]

    @property
    def task(self) -> str:
        """Name of the task."""
        return plain(self.comparison.groups[0].features.get("task", ""))

    @property
    def metric_name(self) -> str:
        """Logged name of the compared metric, such as "test/acc"."""
        keys = [key for key in PRIMARY if f"test/{key}" in self.comparison.measured]
        return f"test/{keys[0] if keys else 'loss'}"

    @property
    def metric(self) -> Metric:
        """The compared metric."""
        return METRICS[self.metric_name.rpartition("/")[2]]


def make_part(comparison: Comparison, effects: Effects | None) -> Part:
    """Assign names and colours to the groups of a comparison."""
    compared = effects.reference if effects else Reference({}, (STANDARD[0],))
    groups, names = comparison.groups, name_rows(comparison, compared.may_differ)
    colours, variants = arm_styles.colours(group.features["conv"] for group in groups), dict[str, list[str]]()
    lines = []
    for group, name in zip(groups, names, strict=True):
        arm = group.features["conv"]
        places = variants.setdefault(arm, [])
        if name.arm not in places:
            places.append(name.arm)
        colour = arm_styles.variant(colours[arm], places.index(name.arm)).colour
        lines.append(Line(group, plain(name.setting or group.features["model"]), plain(name.arm or arm), colour))
    return Part(comparison, effects, lines)
