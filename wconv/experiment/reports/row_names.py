"""Names of the rows of a comparison in sentences: as short as possible, but unambiguous."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wconv.experiment.reports.comparison import KEY_COLUMNS, Comparison, Group, format_value


@dataclass(frozen=True)
class RowName:
    """The name of a row.

    Attributes:
        setting: what it shares with its reference row; empty if all rows share it.
        arm: the compared part; empty if it is the same in all rows of the setting.
    """

    setting: str
    arm: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.setting, self.arm) if part) or "the only row"


def name_rows(comparison: Comparison, may_differ: Callable[[str], bool] = lambda key: True) -> list[RowName]:
    """Name every row.

    Args:
        comparison: with the rows.
        may_differ: whether a key is part of what is compared; the other keys are the setting.
    """
    groups, headings = comparison.groups, comparison.columns
    keys = list(dict.fromkeys([*KEY_COLUMNS, *headings]))
    setting = _telling([key for key in keys if not may_differ(key)], groups)
    arm = _telling([key for key in keys if may_differ(key)], groups, setting)

    def text(group: Group, chosen: Sequence[str]) -> str:
        values = {key: format_value(group.features[key]) for key in chosen if group.features.get(key, "-") != "-"}
        if chosen and not values:
            return f"no {headings.get(chosen[0], chosen[0])}"
        parts = [f"{headings[key]} {value}" if key in headings else value for key, value in values.items()]
        # A density with commas is put in brackets, for its commas are not those of the name.
        return ", ".join(f"({part})" if ", " in part else part for part in parts).replace(", (", " (")

    return [RowName(text(group, setting), text(group, arm)) for group in groups]


def _telling(keys: Sequence[str], groups: Sequence[Group], known: Sequence[str] = ()) -> list[str]:
    """Choose the first keys that, with the known ones, distinguish the rows as well as all keys do."""
    chosen: list[str] = []

    def kinds(*some: str) -> int:
        return len({tuple(group.features.get(key) for key in (*known, *some)) for group in groups})

    for key in keys:
        if kinds(*chosen, key) > kinds(*chosen):
            chosen.append(key)
    return chosen
