"""Render the page: one HTML file that opens from the disk, loads nothing from a server, and runs only its own code."""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from wconv.experiment.common.text import escape_control_characters
from wconv.experiment.reports.comparison import Comparison
from wconv.experiment.reports.effects import Effects
from wconv.experiment.reports.notes import notes
from wconv.experiment.reports.page.content import Figure, Part, make_part
from wconv.experiment.reports.page.costs import cost_figure
from wconv.experiment.reports.page.crops import crops
from wconv.experiment.reports.page.curves import curve_figures
from wconv.experiment.reports.page.densities import density_maps, movement_figures
from wconv.experiment.reports.page.kernels import first_kernels
from wconv.experiment.reports.page.origins import commands, machines, uncounted
from wconv.experiment.reports.page.palette import VALUES, paint, style_rules
from wconv.experiment.reports.page.rows import difference_figure, findings, results_table
from wconv.experiment.reports.page.searches import COLOURS, landscapes
from wconv.experiment.runs import arm_styles

TEMPLATES = Path(__file__).parent / "templates"
SECTIONS = {
    "findings": "Findings",
    "table": "Table",
    "differences": "Differences",
    "curves": "Curves",
    "costs": "Cost",
    "search": "Search",
    "densities": "Densities",
    "kernels": "Kernels",
    "crops": "Crops",
    "uncounted": "Not counted",
    "origin": "Origin",
}


def render_page(
    comparisons: Sequence[tuple[Comparison, Effects | None]], command: str, searches: Sequence[Path] = ()
) -> str:
    """Return the page.

    Args:
        comparisons: one per task, with the effects against a reference if there is one.
        command: that made the page.
        searches: folders of density searches to show.
    """
    parts = [make_part(*compared) for compared in comparisons]
    bundle, script = vega_bundle(), _script((TEMPLATES / "page.js").read_text())
    maps, more = density_maps(parts)
    specs: dict[str, Mapping[str, Any]] = {}
    denoises = any(part.task == "denoising" for part in parts)
    absent = {name for name, is_there in (("crops", denoises), ("search", searches)) if not is_there}
    found, unread = landscapes(searches)

    def spec_of(figure: Figure) -> str:
        return str(specs.setdefault(f"f{len(specs)}", figure.spec) and f"f{len(specs) - 1}")

    views = [_view(part, len(parts) > 1) for part in parts]
    return (
        _environment()
        .get_template("page.html")
        .render(
            title=_title(parts),
            summary=_summary(parts),
            sections=[(id_, name) for id_, name in SECTIONS.items() if id_ not in absent],
            models=sorted({line.model for part in parts for line in part.lines}),
            arms=_arms(parts),
            colours=_colours(parts),
            parts=views,
            has_searches=bool(searches),
            searches=found,
            unread_searches=unread,
            densities=maps,
            more_densities=more,
            kernels=first_kernels(parts),
            denoises=denoises,
            crops=[crop for part in parts for crop in crops(part)],
            uncounted=uncounted(parts),
            machines=machines(parts),
            commands=commands(parts),
            command=command,
            css=Markup((TEMPLATES / "page.css").read_text()),
            bundle=bundle,
            script=script,
            script_hashes=Markup(" ".join(map(_hash, (bundle, script)))),
            spec_of=spec_of,
            specs=lambda: htmlsafe_json_dumps(specs, separators=(",", ":"), allow_nan=False),
        )
    )


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _finalize(value: Any) -> Any:
    """Escape invisible characters in a text of a run; markup stays unchanged."""
    return escape_control_characters(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def vega_bundle() -> Markup:
    """Return Vega, Vega-Lite and vega-embed as one script, from vl-convert."""
    import vl_convert  # here, because importing it takes a second

    return _script(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed"))


def _script(code: str) -> Markup:
    """Return a script element, escaped so that no text in the code can close it."""
    return Markup(re.sub(r"</(?=script)", r"<\\/", code, flags=re.IGNORECASE).replace("<!--", r"<\!--"))


def _hash(script: str) -> str:
    return f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"


def _view(part: Part, has_heading: bool) -> dict[str, Any]:
    """Return the template variables for the runs of a task."""
    return {
        "heading": part.task.capitalize() if has_heading else "",
        "findings": findings(part),
        "table": results_table(part),
        "notes": notes(part.comparison),
        "difference": difference_figure(part),
        "curves": curve_figures(part),
        "costs": cost_figure(part),
        "movements": movement_figures(part),
    }


def _title(parts: Sequence[Part]) -> str:
    models = dict.fromkeys(line.model for part in parts for line in part.lines)
    arms = dict.fromkeys(line.arm for part in parts for line in part.lines)
    return f"{_listed(list(models))}: {_listed(list(arms))} convolutions"


def _summary(parts: Sequence[Part]) -> str:
    runs = [run for part in parts for run in part.comparison.counted]
    seeds = len({run.seed for run in runs})
    groups = sum(len(part.lines) for part in parts)
    return f"{_count(len(runs), 'run')} in {_count(groups, 'row')}, {_count(seeds, 'seed')}."


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _listed(names: Sequence[str]) -> str:
    """Join names, showing only the first few if there are many."""
    if len(names) > 4:
        names = [*names[:3], f"{len(names) - 3} more"]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _arms(parts: Sequence[Part]) -> list[dict[str, str]]:
    """Return name, colour and explanation of each arm that the page shows."""
    explanations = {arm.name: arm.explanation for arm in arm_styles.ARMS}
    found: dict[str, dict[str, str]] = {}
    for line in (line for part in parts for line in part.lines):
        name = str(line.group.features["conv"])
        arm = {"name": line.arm, "paint": paint(line.colour), "explanation": explanations.get(name, "")}
        found.setdefault(name, arm)
    return [found[name] for name in sorted(found, key=arm_styles.rank)]


def _colours(parts: Sequence[Part]) -> dict[str, tuple[str, str]]:
    """Return the light and the dark value of each colour that the page names."""
    rules = style_rules([*(line.colour for part in parts for line in part.lines), *COLOURS.values()])
    return {name: (light, rules["dark"][name]) for name, light in rules["light"].items()} | VALUES
