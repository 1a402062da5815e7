"""Vega-Lite specifications of the figures of the page.

Why Vega-Lite: its code is 0.9 MB (Plotly's is 4.5 MB), comes with vl-convert without a network, needs no `eval`
(vega-interpreter is in the bundle), and draws SVG with CSS custom properties as colours, so that the page can switch to
dark mode without redrawing.

A figure fills the available width. The page sets the parameters `hidden_arms` and `hidden_models` to hide marks.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

Records = Sequence[Mapping[str, Any]]

HEIGHT = 250  # pixels
ROW = 58  # pixels of a row of intervals: name and numbers, with the interval below
INK, MUTED, RULE, BAND = "var(--ink)", "var(--muted)", "var(--rule)", "var(--band)"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
NUMBER = "format(datum.value, datum.value < 10000 ? ',' : '~s')"  # axis labels such as 2,000 and 40M
SIGNED = "datum.value == 0 ? '0' : format(datum.value, '+,')"
SHOWN = "indexof(hidden_arms, datum.arm) < 0 && indexof(hidden_models, datum.model) < 0"


def curves(
    data: Mapping[str, Records], domain: Sequence[float], is_log: bool, digits: str, has_points: bool
) -> dict[str, Any]:
    """Draw means over the epochs with bands over the seeds, labelled at their ends.

    Args:
        data: "lines", "bands", "dots", "ends", "diverged" and "crosses"; all but "dots", "ends" and "crosses" hold
            lists of epochs and values.
        domain: of the values.
        is_log: whether their axis is logarithmic.
        digits: number format of values, as d3-format.
        has_points: whether each epoch has a tooltip with its value.
    """
    epochs = [epoch for name in ("lines", "diverged") for line in data[name] for epoch in line["epoch"]]
    scale = alt.Scale(domain=[min(epochs), max(epochs)], zero=False)
    # Vega rounds the distance between ticks to 1, 2 or 5 of a power of ten; more ticks than epochs would repeat labels.
    ticks = max(1, min(5, max(epochs) - min(epochs)))
    x = alt.X("epoch:Q", title="epoch", scale=scale, axis=alt.Axis(tickMinStep=1, tickCount=ticks, format="d"))
    steps = alt.Axis(values=_log_steps(*domain), format="~g") if is_log else alt.Axis()
    height = alt.Scale(domain=list(domain), type="log") if is_log else alt.Scale(domain=list(domain), zero=False)
    y = alt.Y("value:Q", title=None, axis=steps, scale=height)
    colour = alt.Color("paint:N", scale=None)
    tip = [alt.Tooltip("name:N", title="arm"), "epoch:Q", alt.Tooltip("value:Q", format=digits)]
    layers = {
        "bands": _data("bands")
        .transform_flatten(["epoch", "value", "high"])
        .mark_area(opacity=0.18)
        .encode(x, y, alt.Y2("high:Q"), colour, detail="line:N"),
        "lines": _data("lines")
        .transform_flatten(["epoch", "value"])
        .mark_line(strokeWidth=1.8, point=has_points and {"size": 90, "opacity": 0})
        .encode(x, y, colour, detail="line:N", tooltip=tip if has_points else alt.value(None)),
        "dots": _data("dots").mark_point(filled=True, size=60, opacity=1).encode(x, y, colour),
        "diverged": _data("diverged")
        .transform_flatten(["epoch", "value"])
        .mark_line(strokeWidth=1.2, strokeDash=[2, 3])
        .encode(x, y, colour, detail="run:N"),
        "crosses": _data("crosses")
        .mark_point(shape="cross", angle=45, size=70, filled=True, opacity=1)
        .encode(x, y, colour),
        "ends": _data("ends")
        .mark_text(align="left", baseline="middle", dx=6, fontSize=12)
        .encode(x, y, colour, text="name:N"),
    }
    drawn = {name: records for name, records in data.items() if records}
    chart = alt.layer(*(layers[name] for name in layers if name in drawn))
    return _finish(chart, drawn, HEIGHT)


def differences(rows: Records, margin: float, axis: str) -> dict[str, Any]:
    """Draw differences to the reference with their intervals, one row each, with the name above.

    Args:
        rows: with "place", "line", "value", "low", "high" (both null for one seed), and "text".
        margin: smallest difference that matters; the range within it is shaded.
        axis: title of the horizontal axis.
    """
    seen = _data("rows").transform_window(rank="row_number()").transform_calculate(row="datum.rank - 0.5")
    y = alt.Y("row:Q", axis=None, scale=alt.Scale(domain=[len(rows), 0], nice=False))
    colour = alt.Color("paint:N", scale=None)
    ends = [row[key] for row in rows for key in ("value", "low", "high") if row[key] is not None]
    scale = alt.Scale(domain=padded([*ends, -margin, margin]))
    x = alt.X("value:Q", title=axis, scale=scale, axis=alt.Axis(labelExpr=SIGNED, tickCount=6))
    left: Any = {"align": "left", "x": 0}
    layers: list[Any] = [
        _data("margin", False).mark_rect(color=BAND).encode(x, alt.X2("high:Q")),
        _data("margin", False).mark_rule(color=MUTED).encode(alt.XDatum(0)),
        seen.mark_rule(color=RULE, yOffset=ROW / 3).encode(y),
        seen.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=2.5, yOffset=ROW / 3)
        .encode(alt.X("low:Q"), alt.X2("high:Q"), y, colour),
        seen.mark_point(filled=True, size=80, opacity=1, yOffset=ROW / 3).encode(x, y, colour),
        seen.mark_text(**left, dy=-ROW / 4, fontSize=13, color=INK).encode(y=y, text="line:N"),
        seen.mark_text(**left, dy=ROW / 24, fontSize=12, color=MUTED).encode(y=y, text="text:N"),
    ]
    data = {"rows": rows, "margin": [{"value": -margin, "high": margin}]}
    return _finish(alt.layer(*layers), data, ROW * len(rows))


def costs(points: Records, fields: Sequence[str], digits: str) -> dict[str, Any]:
    """Draw each group as a point: its result against its cost.

    Args:
        points: with "value", "low", "high" (null for one seed), and each of the fields.
        fields: names of the costs; the parameter `cost` selects one.
        digits: number format of values, as d3-format.
    """
    seen = _data("points").transform_calculate(cost="datum[cost_field]").transform_filter("isValid(datum.cost)")
    domains = {key: padded([point[key] for point in points if point[key] is not None]) for key in fields}
    domain = alt.Scale(domain=alt.ExprRef("domains[cost_field]"), zero=False)  # not of the points: all may be hidden
    x = alt.X("cost:Q", title=None, scale=domain, axis=alt.Axis(labelExpr=NUMBER, tickCount=6))
    ends = [point[key] for point in points for key in ("value", "low", "high") if point[key] is not None]
    y = alt.Y("value:Q", title=None, scale=alt.Scale(domain=padded(ends), zero=False))
    colour = alt.Color("paint:N", scale=None)
    models = sorted({str(point["model"]) for point in points})
    legend = alt.Legend(orient="top", title=None, symbolFillColor=MUTED, symbolStrokeColor=MUTED)
    shape = alt.Shape("model:N", scale=alt.Scale(domain=models), legend=legend if len(models) > 1 else None)
    tip = [
        alt.Tooltip("line:N", title="runs"),
        alt.Tooltip("value:Q", format=digits),
        alt.Tooltip("cost:Q", format=".4~s"),
    ]
    layers: list[Any] = [
        seen.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=1.5)
        .encode(x, alt.Y("low:Q"), alt.Y2("high:Q"), colour),
        seen.mark_point(filled=True, size=90, opacity=0.95).encode(x, y, colour, shape, tooltip=tip),
    ]
    params = [alt.param(name="cost_field", value=fields[0]), alt.param(name="domains", value=domains)]
    return _finish(alt.layer(*layers).add_params(*params), {"points": points}, 300)


def movements(rows: Records, domain: Sequence[float]) -> dict[str, Any]:
    """Draw start and end of trained coefficients, one row per layer.

    Args:
        rows: with "layer", "start", "value" (at the end, mean over seeds), "low" and "high".
        domain: of the coefficients.
    """
    names = alt.Scale(domain=[row["layer"] for row in rows])
    y = alt.Y("layer:N", title=None, scale=names, axis=alt.Axis(labelLimit=140, grid=True))
    scale = alt.Scale(domain=list(domain), zero=False, nice=False)
    colour = alt.Color("paint:N", scale=None)
    x = alt.X("value:Q", title="coefficient", scale=scale)
    tip = ["layer:N", alt.Tooltip("start:Q", format=".3f"), alt.Tooltip("value:Q", title="end", format=".3f")]
    seen = _data("rows")
    layers: list[Any] = [
        seen.mark_rule(strokeWidth=1.5).encode(
            alt.X("start:Q", title="coefficient", scale=scale), alt.X2("value:Q"), y, colour
        ),
        seen.mark_rule(strokeWidth=5, opacity=0.3).encode(alt.X("low:Q", scale=scale), alt.X2("high:Q"), y, colour),
        seen.mark_tick(thickness=2, size=11, color=MUTED).encode(alt.X("start:Q", scale=scale), y),
        seen.mark_point(filled=True, size=50, opacity=1).encode(x, y, colour, tooltip=tip),
    ]
    return _finish(alt.layer(*layers), {"rows": rows}, 18 * len(rows))


def padded(values: Sequence[float]) -> list[float]:
    """Return the range of values with a margin; never empty, even for a single value."""
    low, high = min(values), max(values)
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return [low - room, high + room]


def _log_steps(low: float, high: float) -> list[float]:
    """Return ticks for a logarithmic axis: powers of ten, and if these are few, also 2 and 5 times them."""
    decades = [10.0**power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    tens = [value for value in decades if low <= value <= high]
    finer = [digit * value for value in decades for digit in (1, 2, 5) if low <= digit * value <= high]
    return tens if len(tens) > 2 else finer


def _data(name: str, is_filtered: bool = True) -> alt.Chart:
    chart = alt.Chart(alt.NamedData(name))
    return chart.transform_filter(SHOWN) if is_filtered else chart


def _finish(chart: Any, data: Mapping[str, Records], height: int) -> dict[str, Any]:
    """Return the specification with the data and the common style of all figures."""
    hidden = [alt.param(name=name, value=[]) for name in ("hidden_arms", "hidden_models")]
    sized = chart.add_params(*hidden).properties(width="container", height=height)
    spec: dict[str, Any] = sized.to_dict()
    text = {"labelColor": MUTED, "titleColor": MUTED, "labelFont": FONT, "titleFont": FONT, "labelFontSize": 12}
    spec["autosize"] = {"type": "fit-x", "contains": "padding"}
    spec["padding"] = {"left": 2, "top": 8, "right": 8, "bottom": 4}
    spec["datasets"] = {name: list(records) for name, records in data.items()}
    spec["config"] = {
        "background": None,
        "aria": False,  # the page has a description and a table of the numbers instead
        "font": FONT,
        "view": {"stroke": None},
        "axis": text
        | {"titleFontSize": 12, "titleFontWeight": "normal", "gridColor": RULE, "domain": False}
        | {"tickColor": RULE, "tickSize": 4, "labelPadding": 5},
        "axisX": {"grid": False, "domain": True, "domainColor": RULE},
        "axisY": {"ticks": False, "tickCount": 5},
        "legend": text,
        "text": {"font": FONT},
    }
    return spec
