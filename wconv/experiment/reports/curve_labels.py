"""Labels in the figure of a comparison: its title, the panel titles, and the names of the lines."""

from collections.abc import Sequence

from wconv.experiment.common.text import escape_mathtext
from wconv.experiment.reports.comparison import Comparison, Group, format_value

MANY = 4  # with more groups than this, each variant of a backbone gets its own panels


def labels(comparison: Comparison) -> tuple[list[str], list[str]]:
    """Return for each group the title of its panels, and the name of its line within them."""
    groups, headings = comparison.groups, comparison.columns
    backbone = [key for key in headings if key.partition(".")[0] in ("model", "datamodule", "task")]
    several_models = len({group.features["model"] for group in groups}) > 1
    backbone = ["model"] * several_models + backbone
    rest = [key for key in headings if key not in backbone]
    if len(groups) <= MANY and not several_models:
        backbone, rest = [], backbone + rest
    panels = {tuple(group.features.get(key) for key in backbone) for group in groups}

    def varies(key: str) -> bool:
        """Whether a key distinguishes arms within a panel; otherwise it describes the panel."""
        kinds = {tuple(group.features.get(name) for name in (*backbone, key)) for group in groups}
        return len(kinds) > len(panels)

    arm = ["conv"] + [key for key in ("init", "density") if _tells_apart(key, groups)]
    arm += [key for key in rest if varies(key)]
    backbone += [key for key in rest if not varies(key)]

    def text(group: Group, keys: Sequence[str]) -> str:
        values = {key: format_value(group.features[key]) for key in keys if group.features.get(key, "-") != "-"}
        return ", ".join(f"{headings[key]} {value}" if key in headings else value for key, value in values.items())

    return [escape_mathtext(text(group, backbone)) for group in groups], [
        escape_mathtext(text(group, arm)) for group in groups
    ]


def _tells_apart(key: str, groups: Sequence[Group]) -> bool:
    """Whether groups of the same convolution differ in a key."""
    kinds = {(group.features["conv"], group.features[key]) for group in groups}
    if key == "density":
        return len(kinds) > len({conv for conv, _ in kinds})
    return len({value for _, value in kinds}) > 1


def title(comparison: Comparison) -> str:
    """Return a title with what all runs have in common, and how many have diverged."""
    groups = comparison.groups
    common = [{group.features[key] for group in groups} for key in ("model", "init")]
    facts = [escape_mathtext(values.pop()) for values in common if len(values) == 1]
    seeds = {tuple(sorted(group.counted)) for group in groups}
    if len(seeds) > 1:
        facts.append(f"{min(map(len, seeds))} to {max(map(len, seeds))} seeds")
    elif some := seeds.pop():
        facts.append(f"seed{'s' * (len(some) > 1)} {', '.join(map(str, some))}")
    if count := len(comparison.diverged):
        facts.append(f"{count} run{'s' * (count > 1)} diverged")
    return ", ".join(facts)
