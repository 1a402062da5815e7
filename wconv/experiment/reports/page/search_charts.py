"""Vega-Lite figures of searches: a curve, a map, or parallel coordinates with one line per evaluation."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from wconv.experiment.reports.page.charts import HEIGHT, INK, MUTED, RULE, Records, _data, _finish
from wconv.experiment.reports.page.palette import VALUES

PAPER = "var(--paper)"
STAR = "M0,-1.6L.36,-.5L1.52,-.5L.58,.19L.94,1.3L0,.61L-.94,1.3L-.58,.19L-1.52,-.5L-.36,-.5Z"  # SVG, of Vega's size 1
CROSS = "M-.8,-.8L.8,.8M-.8,.8L.8,-.8"
SHAPES = {"failed": CROSS, "pruned": "triangle-down", "best": STAR, "published": "diamond", "standard": "square"}
TICKS = 6
WIDE = 8  # names of coefficients that fit side by side


def curve(data: Mapping[str, Records], name: str, domain: Sequence[float], paint: str, digits: str) -> dict[str, Any]:
    """Draw the mean over one coefficient, with a band over the seeds.

    Args:
        data: "means" (x, value, low, high), "seeds" (x, value), "references" (x, name, paint, height in pixels), and
            "marks" (x, value, name); marks without a value are drawn at the bottom.
        name: of the coefficient.
        domain: of the coefficient.
        paint: colour of the curve.
        digits: number format of values, as d3-format.
    """
    scale = alt.Scale(domain=list(domain), zero=False, nice=False)
    x = alt.X("x:Q", title=name, scale=scale, axis=alt.Axis(tickCount=TICKS))
    y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False))
    tip = [alt.Tooltip("x:Q", title=name, format=".4~g"), alt.Tooltip("value:Q", title="mean", format=digits)]
    means = _data("means", False)
    layers: list[Any] = [
        means.mark_area(opacity=0.18, color=paint).encode(x, alt.Y("low:Q", title=None), alt.Y2("high:Q")),
        _data("references", False)
        .mark_rule(strokeWidth=1.5, strokeDash=[4, 3])
        .encode(x, alt.Color("paint:N", scale=None)),
        _data("references", False)
        .mark_text(align="left", baseline="top", dx=4, fontSize=12)
        .encode(x, alt.Color("paint:N", scale=None), y=alt.Y("height:Q", scale=None), text="name:N"),
        _data("seeds", False).mark_circle(size=14, opacity=0.6, color=paint).encode(x, y),
        means.mark_line(strokeWidth=1.8, color=paint, point={"size": 36, "color": paint}).encode(x, y, tooltip=tip),
        _marks("!isValid(datum.value)").encode(x, y=alt.value(HEIGHT - 8)),
        _marks("isValid(datum.value)").encode(x, y),
        *_names(x, y),
    ]
    return _finish(alt.layer(*layers), data, HEIGHT)


def colour_map(
    data: Mapping[str, Records],
    names: Sequence[str],
    domains: Sequence[Sequence[float]],
    colours: alt.Color,
    digits: str,
) -> dict[str, Any]:
    """Draw the evaluations of two coefficients as points on interpolated colours.

    Args:
        data: "cells" (x, x2, y, y2, value), "points" (x, y, value), and "marks" (x, y, name).
        names: of the two coefficients.
        domains: of each.
        colours: of the values (see `value_colours`).
        digits: number format of values, as d3-format.
    """
    scales = [alt.Scale(domain=list(domain), zero=False, nice=False) for domain in domains]
    x = alt.X("x:Q", title=names[0], scale=scales[0], axis=alt.Axis(tickCount=TICKS))
    y = alt.Y("y:Q", title=names[1], scale=scales[1])
    tip = [
        alt.Tooltip("x:Q", title=names[0], format=".4~g"),
        alt.Tooltip("y:Q", title=names[1], format=".4~g"),
        alt.Tooltip("value:Q", title="mean", format=digits),
    ]
    layers: list[Any] = [
        _data("cells", False).mark_rect(strokeWidth=0).encode(x, y, alt.X2("x2:Q"), alt.Y2("y2:Q"), colours),
        _data("points", False)
        .mark_point(size=60, filled=True, opacity=1, stroke=PAPER, strokeWidth=1.5)
        .encode(x, y, colours, tooltip=tip),
        _marks().encode(x, y),
        *_names(x, y),
    ]
    return _finish(alt.layer(*layers), data, 340)


def parallel(data: Mapping[str, Records], names: Sequence[str], colours: alt.Color, digits: str) -> dict[str, Any]:
    """Draw one line per evaluation across all coefficients.

    Args:
        data: records with "name" (coefficient) and "y": "bounds" (with y2), "uncounted" and "lines" (with "evaluation"
            and "value"), "published" and "best".
        names: of the coefficients.
        colours: of the values (see `value_colours`).
        digits: number format of values, as d3-format.
    """
    angle = -60 if len(names) > WIDE else 0
    axis = alt.Axis(labelAngle=angle, labelLimit=140, grid=True, labelOverlap=False)
    x = alt.X("name:N", title=None, scale=alt.Scale(domain=list(names), type="point", padding=0.3), axis=axis)
    y = alt.Y("y:Q", title="coefficient", scale=alt.Scale(zero=False))
    tip = ["evaluation:Q", alt.Tooltip("value:Q", title="mean", format=digits)]
    ends: Any = {"align": "left", "baseline": "middle", "dx": 8, "fontSize": 12}
    lasts = [records[-1]["y"] if records else 0.0 for records in (data["best"], data["published"])]
    side = -6 if lasts[0] >= lasts[1] else 6  # offset in pixels of the name of the best, away from the other name
    last = alt.FieldEqualPredicate(field="name", equal=names[-1])
    layers: list[Any] = [
        _data("bounds", False).mark_rule(strokeWidth=7, color=RULE).encode(x, y, alt.Y2("y2:Q")),
        _data("uncounted", False)
        .mark_line(strokeWidth=1, strokeDash=[2, 3], color=MUTED)
        .encode(x, y, detail="evaluation:Q"),
        _data("lines", False).mark_line(strokeWidth=1.4).encode(x, y, colours, detail="evaluation:Q", tooltip=tip),
        _data("published", False)
        .mark_line(strokeWidth=1.5, strokeDash=[5, 3], color=INK, point={"shape": "diamond", "color": INK})
        .encode(x, y),
        _data("best", False).mark_line(strokeWidth=3, color="var(--accent)").encode(x, y),
        _data("best", False)
        .mark_point(shape=STAR, size=90, filled=True, fill=PAPER, stroke=INK, opacity=1)
        .encode(x, y),
        *(
            _data(name, False).transform_filter(last).mark_text(**ends, dy=dy, text=name, color=INK).encode(x, y)
            for name, dy in (("published", -side), ("best", side))
        ),
    ]
    return _finish(alt.layer(*layers), data, 340)


def value_colours(domain: Sequence[float], best: str, title: str, digits: str) -> alt.Color:
    """Return the colour scale of values, on which the best stands out most from the page.

    Args:
        domain: lowest and highest value; worse values get the colour of the worst end.
        best: "max" or "min".
        title: of the legend, which is omitted for a single value.
        digits: number format of values, as d3-format.
    """
    steps = [f"var({name})" for name in VALUES]
    scale = alt.Scale(type="quantize", domain=list(domain), range=steps if best == "max" else steps[::-1])
    legend = alt.Legend(title=title, format=digits, orient="top", gradientLength=240, direction="horizontal")
    return alt.Color("value:Q", scale=scale, legend=legend if title else None)


def _marks(condition: str = "true") -> Any:
    scale = alt.Scale(domain=list(SHAPES), range=list(SHAPES.values()))
    return (
        _data("marks", False)
        .transform_filter(condition)
        .mark_point(size=110, opacity=1, fill=PAPER, stroke=INK, strokeWidth=1.5)
        .encode(shape=alt.Shape("name:N", scale=scale, legend=None))
    )


def _names(*encodings: Any) -> list[Any]:
    """Label marks, each on a different side, because marks may overlap."""
    return [
        _data("marks", False)
        .transform_filter(alt.FieldEqualPredicate(field="name", equal=name))
        .mark_text(dy=dy, fontSize=12, color=INK, text=name)
        .encode(*encodings)
        for name, dy in (("best", -16), ("published", 15), ("standard", 15))
    ]
