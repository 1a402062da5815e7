"""Plot the difference of each row of a comparison to its reference, with its interval."""

from io import BytesIO
from pathlib import Path
from textwrap import fill

from matplotlib.figure import Figure

from wconv.experiment.common.files import write_atomically
from wconv.experiment.common.metrics import METRICS
from wconv.experiment.common.text import escape_mathtext
from wconv.experiment.reports.effects import Effects
from wconv.experiment.runs import arm_styles

ROW = 0.32  # inches
LABEL = 30  # characters of a line beside the plot


def draw_effects(effects: Effects, path: Path) -> None:
    """Plot the differences of a comparison into a PNG: one line per row, grouped by setting.

    If every setting has a single row, and all of the same arm, the settings are the labels of the lines.

    Args:
        effects: rows without a pair are left out.
        path: the file; its folder is made.

    Raises:
        ValueError: no row has a pair.
        OSError: the file cannot be written.
    """
    drawn = [effect for effect in effects.rows if effect.judged]
    if not drawn:
        raise ValueError("there is no difference to draw: no two rows have a seed in common")
    settings = list(dict.fromkeys(effect.name.setting for effect in drawn))
    drawn.sort(key=lambda effect: settings.index(effect.name.setting))
    arms = {effect.name.arm for effect in drawn}
    one_arm = arms.pop() if len(arms) == 1 < len(settings) == len(drawn) else ""
    headings = 0 if one_arm else len([setting for setting in settings if setting])
    height = (1.8 if one_arm else 1) * ROW * (len(drawn) + headings) + 1.3
    figure = Figure(figsize=(5.8 if one_arm else 6.4, height), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    axes.axvspan(-effects.margin, effects.margin, color="0.9", zorder=0)
    axes.axvline(0, color="0.4", linewidth=1)
    colours = arm_styles.colours(str(effect.pairing.group.features["conv"]) for effect in effects.rows)
    decimals = METRICS[effects.metric.rpartition("/")[2]].decimals
    labels: list[str] = []
    heading = ""
    for effect in drawn:
        assert effect.judged
        if effect.name.setting != heading and not one_arm:
            # Across the plot: beside it, long ones would leave little room for the lines.
            heading = effect.name.setting
            text, at = escape_mathtext(heading), (0, len(labels))
            axes.annotate(text, at, xycoords=("axes fraction", "data"), va="center", weight="bold")
            labels.append("")
        test, place = effect.judged.test, len(labels)
        colour = colours[str(effect.pairing.group.features["conv"])]
        if test.can_be_tested:
            axes.plot([test.low, test.high], [place] * 2, color=colour, linewidth=2)
        axes.plot(test.mean, place, "o", color=colour, markersize=6)
        number = f"{test.mean:+.{decimals}f}"
        axes.annotate(number, (1.02, place), xycoords=("axes fraction", "data"), va="center", fontsize="small")
        labels.append(escape_mathtext(effect.name.setting if one_arm else effect.name.arm or effect.name.setting))
    axes.set_yticks(range(len(labels)), [fill(label, LABEL) for label in labels] if one_arm else labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlabel(f"{effects.unit}, 95 % interval; right of 0 is better\ngrey: the margin, ±{effects.margin:g}")
    title = f"{one_arm} {effects.title[0].lower()}{effects.title[1:]}" if one_arm else effects.title
    axes.set_title(escape_mathtext(title), fontsize="medium", loc="left", wrap=True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(left=False)
    axes.grid(axis="x", alpha=0.25)
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, buffer.getvalue())
