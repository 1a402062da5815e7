"""The sentences and the table of a page: those of the comparison, with what a reader filters by."""

from wconv.experiment.common.metrics import heading
from wconv.experiment.reports.comparison import format_value
from wconv.experiment.reports.page.content import Part, Table, plain
from wconv.experiment.reports.tables import _cells, _shown


def main_table(part: Part) -> Table:
    raw = part.comparison.table
    names = [n for n in raw if not str(n).endswith((" mean", " std"))]
    first = [n for n in names if n in ("model", "conv", "init", "density")]
    figures = {heading(n): _cells(n, raw) for n in _shown(part.comparison.measured)}
    rest = [n for n in names if n not in first and n not in ("n", "diverged", "parameters")]
    columns = [*first, *[n for n in ("n", "diverged") if n in names], *figures, "parameters", *rest]
    rows = []
    for place, line in enumerate(part.lines):
        cells = [figures[c][place] if c in figures else plain(format_value(raw[c].iloc[place])) for c in columns]
        rows.append(line.row(*cells))
    return Table("Results", [plain(c) for c in columns], rows, [*first, *rest])
