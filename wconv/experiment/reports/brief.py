"""The short table of a comparison: result, difference and verdict of each row; and single sentences."""

from collections.abc import Sequence

import pandas as pd

from wconv.experiment.common.metrics import METRICS, PRIMARY, heading
from wconv.experiment.common.text import escape_markdown
from wconv.experiment.reports.effects import Effects
from wconv.experiment.reports.parts import Worth
from wconv.experiment.reports.row_names import RowName
from wconv.experiment.reports.sentences import Judged
from wconv.experiment.reports.tables import cells, write_markdown


def brief(effects: Effects) -> tuple[pd.DataFrame, int]:
    """Return the cells of the short table, and the number of name columns.

    Args:
        effects: the rows against their reference, which also gets a row.
    """
    raw, groups, names = effects.comparison.table, effects.comparison.groups, effects.names
    rows = {effect.pairing.row: effect.judged for effect in effects.rows}
    table = _names(names).assign(seeds=[str(len(group.counted)) for group in groups])
    if effects.comparison.diverged:
        table["diverged"] = [str(len(group.diverged)) for group in groups]
    for metric in _shown(effects):
        table[heading(metric)] = cells(metric, raw)
    differences = _differences([rows.get(row) for row in range(len(groups))], effects)
    verdicts = [str(text) for text in differences["verdict"]]
    for row, group in enumerate(groups):
        if row not in rows:
            verdicts[row] = "reference"
        elif (judged := rows[row]) and judged.test.n < len(group.counted):
            verdicts[row] += f"; over {judged.test.n} seed{'s' * (judged.test.n > 1)} that both have"
    return table.join(differences.assign(verdict=verdicts)), len(_names(names).columns)


def parts_table(parts: Sequence[Worth], effects: Effects) -> str:
    """Return the table of the effects of start, step and decay as Markdown."""
    counts = [str(part.judged.test.n) for part in parts]
    table = pd.DataFrame({"part": [part.name for part in parts], "seeds": counts})
    return write_markdown(table.join(_differences([part.judged for part in parts], effects)), 1)


def sentences(effects: Effects, wanted: Sequence[str], parts: Sequence[Worth] = ()) -> str:
    """Return the sentence of a row without its name, or those of several as a list, as Markdown.

    Args:
        effects: the rows.
        wanted: names of rows, or of arms alone.
        parts: rows of the table of parts.

    Raises:
        ValueError: no row has this name; the message lists them.
    """
    said = [(str(effect.name), effect.name.arm, effect.sentence) for effect in effects.rows]
    said += [(part.name, part.name, part.sentence) for part in parts]
    for name in wanted:
        if not any(name in (row, arm) for row, arm, _ in said):
            there = ", ".join(dict.fromkeys(row for row, _, _ in said))
            raise ValueError(f"--row {name}: there is no such row; there are {there}")
    found = [(row, sentence) for row, arm, sentence in said if {row, arm} & set(wanted)]
    if len(found) == 1:
        row, sentence = found[0]
        return escape_markdown(sentence.removeprefix(f"{row}: "))
    return "\n".join(f"- {escape_markdown(sentence)}" for _, sentence in found)


def _names(names: Sequence[RowName]) -> pd.DataFrame:
    """Return the name columns."""
    columns = {"setting": [name.setting for name in names], "arm": [name.arm for name in names]}
    return pd.DataFrame({title: texts for title, texts in columns.items() if any(texts)}, index=range(len(names)))


def _shown(effects: Effects) -> list[str]:
    """Return the compared metric, followed by the same metric on other test sets."""
    measured, last = effects.comparison.measured, effects.metric.rpartition("/")[2]
    others = [name for name in measured if name.startswith("test/") and name.endswith(f"/{last}") and last in PRIMARY]
    others = [name for name in others if name.count("/") == effects.metric.count("/") == 2]
    return list(dict.fromkeys([effects.metric, *others]))


def _differences(rows: Sequence[Judged | None], effects: Effects) -> pd.DataFrame:
    decimals, unit = METRICS[effects.metric.rpartition("/")[2]].decimals, effects.unit
    texts: list[tuple[str, str, str]] = []
    for judged in rows:
        if judged is None:
            texts.append(("", "", "not compared"))
            continue
        test = judged.test
        interval = f" ({test.low:+.{decimals}f} to {test.high:+.{decimals}f})" if test.can_be_tested else ""
        p = "-" if not test.can_be_tested else "<0.001" if judged.p < 0.001 else f"{judged.p:.3f}"
        texts.append((f"{test.mean:+.{decimals}f}{interval}", p, _verdict(judged, effects)))
    return pd.DataFrame(texts, columns=[f"difference ({unit}), 95 % CI", "Holm p", "verdict"])


def _verdict(judged: Judged, effects: Effects) -> str:
    margin = f"{effects.margin:g} {effects.unit}"
    if judged.is_different:
        return judged.verdict + (f", but by less than {margin}" if judged.is_equivalent else "")
    if judged.is_equivalent:
        return f"no difference larger than {margin}"
    if not judged.test.can_be_tested:
        return "undecided" if judged.test.n == 1 or judged.test.mean else "equal with each seed"
    decimals = METRICS[effects.metric.rpartition("/")[2]].difference_decimals
    return f"undecided (could show {judged.test.smallest:.{decimals}f})"
