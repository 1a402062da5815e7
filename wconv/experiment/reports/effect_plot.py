"""Plot the difference of each row of a comparison to its reference, with its interval."""

from io import BytesIO
from pathlib import Path

from matplotlib.figure import Figure

from wconv.experiment.common.files import write_atomically
from wconv.experiment.common.metrics import METRICS
from wconv.experiment.common.text import escape_mathtext
from wconv.experiment.reports.effects import Effect, Effects
from wconv.experiment.runs import arm_styles

ROW = 0.32  # inches


def draw_effects(effects: Effects, path: Path) -> None:
    """Plot the differences of a comparison into a PNG: one line per row, grouped by setting.

    Args:
        effects: rows without a pair are left out.
        path: the file; its folder is made.

    Raises:
        ValueError: no row has a pair.
        OSError: the file cannot be written.
    """
    settings: dict[str, list[Effect]] = {}
    for effect in effects.rows:
        if effect.judged:
            settings.setdefault(effect.name.setting, []).append(effect)
    if not settings:
        raise ValueError("there is no difference to draw: no two rows have a seed in common")
    lines = sum(len(rows) + bool(setting) for setting, rows in settings.items())
    figure = Figure(figsize=(6.4, ROW * lines + 1.3), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    axes.axvspan(-effects.margin, effects.margin, color="0.9", zorder=0)
    axes.axvline(0, color="0.4", linewidth=1)
    colours = arm_styles.colours(str(effect.pairing.group.features["conv"]) for effect in effects.rows)
    decimals = METRICS[effects.metric.rpartition("/")[2]].decimals
    labels: list[str] = []
    for setting, rows in settings.items():
        if setting:  # across the plot: beside it, long ones would leave little room for the lines
            axes.annotate(
                escape_mathtext(setting),
                (0, len(labels)),
                xycoords=("axes fraction", "data"),
                va="center",
                weight="bold",
            )
            labels.append("")
        for effect in rows:
            assert effect.judged
            test, place = effect.judged.test, len(labels)
            colour = colours[str(effect.pairing.group.features["conv"])]
            if test.can_be_tested:
                axes.plot([test.low, test.high], [place] * 2, color=colour, linewidth=2)
            axes.plot(test.mean, place, "o", color=colour, markersize=6)
            number = f"{test.mean:+.{decimals}f}"
            axes.annotate(number, (1.02, place), xycoords=("axes fraction", "data"), va="center", fontsize="small")
            labels.append(effect.name.arm or effect.name.setting)
    axes.set_yticks(range(len(labels)), [escape_mathtext(label) for label in labels])
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlabel(f"{effects.unit}, 95 % interval; right of 0 is better\ngrey: the margin, ±{effects.margin:g}")
    axes.set_title(escape_mathtext(effects.title), fontsize="medium", loc="left", wrap=True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(left=False)
    axes.grid(axis="x", alpha=0.25)
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, buffer.getvalue())
