"""Provenance of the runs of a page: commands, versions, machines; and the runs that are in no mean."""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from wconv.experiment.common.metrics import not_finite
from wconv.experiment.reports.page.content import Part, Row, Table


def commands(parts: Sequence[Part]) -> Table:
    """Return the command that made each run."""
    rows = []
    for part in parts:
        for line in part.lines:
            for run, results in zip(line.group.counted.values(), line.results, strict=True):
                rows.append(line.row(run.folder.name, _command(results)))
    columns = ["run", "command"]
    return Table("The command of each run, typed in the folder of the checkout", columns, rows, columns)


def _command(results: Mapping[str, Any]) -> str:
    words = results.get("overrides")
    if not isinstance(words, list):
        return "not recorded; its config.yaml has every value"
    return shlex.join(["python", "train.py", *map(str, words)])


def machines(parts: Sequence[Part]) -> list[str]:
    """Return one sentence per machine and set of versions, with the number of runs made there."""
    found = Counter(_machine(results) for part in parts for line in part.lines for results in line.results)
    return [f"{count} run{'s' * (count > 1)}: {what}" for what, count in found.most_common()]


def _machine(results: Mapping[str, Any]) -> str:
    versions, git = _mapping(results, "versions"), _mapping(results, "git")
    facts = [str(results.get("device") or "a device that is not recorded")]
    if threads := results.get("threads"):
        facts.append(f"{threads} thread{'s' * (threads != 1)}")
    facts += [f"{name} {version}" for name, version in versions.items() if version]
    if commit := git.get("commit"):
        facts.append(f"commit {str(commit)[:10]}{' with changes' * bool(git.get('changed'))}")
    return ", ".join(facts)


def _mapping(results: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = results.get(key)
    return value if isinstance(value, Mapping) else {}


def uncounted(parts: Sequence[Part]) -> Table:
    """Return the runs that are in no mean, and why: diverged, failed, unfinished, unreadable, or a repeated seed."""
    rows = []
    for part in parts:
        for line in part.lines:
            for run in line.group.diverged.values():
                why = f"{', '.join(not_finite(run.metrics))} is no finite number"
                rows.append(line.row(str(run.folder), "diverged", why))
            rows += [line.row("-", "counted once", note) for note in line.group.notes]
            rows += [line.row(line.title, "no curve", reason) for reason in dict.fromkeys(line.unread)]
        rows += [Row([str(run.folder), run.status, run.reason or "-"]) for run in part.comparison.left_out]
    columns = ["run", "what", "why"]
    return Table("Runs that are in no mean", columns, rows, columns)
