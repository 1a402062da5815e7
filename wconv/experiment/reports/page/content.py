"""What a page is made of: figures with a table behind each, and the rows that a reader can filter."""

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
    """Return a text from a file in a line of moderate length, in which nothing hides."""
    text = escape_control_characters(value)
    return text if len(text) <= LINE else f"{text[: LINE - 1]}…"


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        cells: texts.
        model: which the page can hide; empty for a row that stays.
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
        rows: of as many cells.
        texts: which of the columns hold texts; the others hold numbers.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Row]
    texts: Collection[str]


@dataclass(frozen=True)
class Figure:
    """A figure that Vega-Lite draws.

    Attributes:
        title: what it shows, above it.
        description: the same for those who cannot see it, with what is to be seen where that can be said.
        spec: of Vega-Lite.
        table: the numbers behind it.
        model: of whose runs alone it is, so that the page hides it with them; empty for several.
        choices: names of what its horizontal axis can show, by their fields; empty where there is no choice.
    """

    title: str
    description: str
    spec: Mapping[str, Any]
    table: Table | None = None
    model: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Line:
    """A group of runs as the page names and colours it.

    Attributes:
        group: the runs.
        panel: names the setting, which groups that are compared share.
        name: names the arm.
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
        """What every mark of it in a figure carries."""
        return {
            "model": self.model,
            "arm": self.arm,
            "name": self.name,
            "line": self.title,
            "paint": paint(self.colour),
        }

    def row(self, *cells: str) -> Row:
        """Make a row that the page hides with it."""
        return Row(cells, self.model, self.arm, paint(self.colour))

    @cached_property
    def histories(self) -> list[pd.DataFrame]:
        """The epochs of its runs; those that cannot be read are named in `unread`."""
        return self._read(self.group.counted.values())

    @cached_property
    def diverged(self) -> list[pd.DataFrame]:
        """The epochs of its runs that have diverged."""
        return self._read(run for run in self.group.diverged.values() if (run.folder / "metrics.csv").exists())

    @cached_property
    def results(self) -> list[dict[str, Any]]:
        """What results.json says of its runs."""
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
        effects: what they say against a reference; None where there is none.
        lines: the groups again, in the same order.
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
        """Logged name of what the runs are compared by, such as "test/acc"."""
        keys = [key for key in PRIMARY if f"test/{key}" in self.comparison.measured]
        return f"test/{keys[0] if keys else 'loss'}"

    @property
    def metric(self) -> Metric:
        """What it means."""
        return METRICS[self.metric_name.rpartition("/")[2]]


def make_part(comparison: Comparison, effects: Effects | None) -> Part:
    """Name and colour the groups of a comparison."""
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
