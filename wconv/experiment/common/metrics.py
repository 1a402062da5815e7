"""Registry of the metrics: definition, direction (max or min), units and formatting of each.

The logged name of a metric is "split/metric" or, for one of several test sets, "test/set/metric". Nothing heavy is
imported here, so that commands that only print names start fast.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Metric:
    """A metric of an epoch or of a test set.

    Attributes:
        label: its name in figures, e.g. "accuracy".
        heading: its name in tables, e.g. "acc".
        best: "max" or "min".
        definition: how it is computed, with its unit; empty if the task defines it.
        unit: for display; empty for a plain number.
        factor: from the logged value to the shown one.
        decimals: of the shown value.
        margin: default for the smallest difference of shown values that matters.
        of_model: whether it measures the model; otherwise it measures the data and says nothing about the run.
        may_be_infinite: whether infinity is a valid value, and not a sign that a run has diverged.
    """

    label: str
    heading: str
    best: str
    definition: str = ""
    unit: str = ""
    factor: float = 1.0
    decimals: int = 2
    margin: float = 0.0
    of_model: bool = True
    may_be_infinite: bool = False

    def with_unit(self, name: str) -> str:
        """Return a name of the metric followed by its unit."""
        return f"{name} ({self.unit})" if self.unit else name

    @property
    def difference_unit(self) -> str:
        """Unit of a difference of shown values: percentages differ by points."""
        return "points" if self.unit == "%" else self.unit

    @property
    def difference_decimals(self) -> int:
        """Decimals of a difference in a sentence, at least."""
        return 1 if self.unit == "%" else self.decimals

    @property
    def axis(self) -> str:
        """Label of an axis, e.g. "accuracy (%)"."""
        return self.with_unit(self.label)

    def format(self, value: float) -> str:
        """Format a logged value for display, without the unit."""
        # Rounded twice: the last bit of a mean follows the version of pandas, and would decide a tie.
        return f"{round(self.factor * value, 9):.{self.decimals}f}"


METRICS: Mapping[str, Metric] = {
    "acc": Metric(
        "accuracy",
        "acc",
        "max",
        "share of the images whose class has the largest logit (top-1), from 0 to 1",
        unit="%",
        factor=100.0,
        margin=0.5,
    ),
    "acc_top5": Metric(
        "top-5 accuracy",
        "top-5 acc",
        "max",
        "share of the images whose class is among the five largest logits, from 0 to 1",
        unit="%",
        factor=100.0,
    ),
    "psnr": Metric(
        "PSNR",
        "PSNR",
        "max",
        "dB; images in [0, 1], output clamped, data range 1, from the mean squared error over all channels "
        "and pixels of an image, then the mean over the images",
        unit="dB",
        margin=0.05,
        may_be_infinite=True,
    ),
    "ssim": Metric(
        "SSIM",
        "SSIM",
        "max",
        "Gaussian window of 11 pixels and sigma 1.5, data range 1; mean over the windows that lie "
        "within an image and its channels, then over the images",
        decimals=4,
    ),
    "noisy_psnr": Metric(
        "PSNR of the noisy images",
        "noisy PSNR",
        "max",
        "of the noisy images as the network gets them, not clamped",
        unit="dB",
        of_model=False,
        may_be_infinite=True,
    ),
    "loss": Metric("loss", "loss", "min", decimals=4),
}


@dataclass(frozen=True)
class TaskMetrics:
    """The metrics of a task.

    Attributes:
        metrics: names of the metrics, besides the loss; the first, on the validation set, selects the epoch to test.
        loss: definition of its logged loss.
        validated: names of the metrics that are also measured on the validation set.
    """

    metrics: tuple[str, ...]
    loss: str
    validated: tuple[str, ...]

    @property
    def monitor(self) -> str:
        """Logged name of the metric that selects the epoch to test."""
        return f"val/{self.metrics[0]}"

    @property
    def mode(self) -> str:
        """Which value of the monitored metric is best, "max" or "min"."""
        return METRICS[self.metrics[0]].best

    @property
    def definitions(self) -> dict[str, str]:
        """Definition of each metric, for results.json."""
        return {name: METRICS[name].definition for name in self.metrics} | {
            "loss": self.loss,
            "selection": f"test/* are of the epoch with the best {self.monitor} on held-out training images",
        }


TASKS: Mapping[str, TaskMetrics] = {
    "classification": TaskMetrics(
        ("acc", "acc_top5"),
        "mean cross-entropy in nats, without label smoothing",
        validated=("acc", "acc_top5", "loss"),
    ),
    "denoising": TaskMetrics(
        ("psnr", "ssim", "noisy_psnr"), "mean training loss over the patches of an epoch", validated=("psnr",)
    ),
}
PRIMARY = tuple(task.metrics[0] for task in TASKS.values())  # one per task, plotted next to the loss
# The columns of a table for readers, in this order.
TABLE = ("test/acc", "test/acc_top5", "val/acc", "test/noisy_psnr", "test/psnr", "test/ssim")
TILED = "test/tiled"  # not a metric: number of test images denoised in approximate tiles
SPLITS = {"train": "training", "val": "validation", "test": "test"}


def metric(name: str) -> Metric | None:
    """Return the metric of a logged name, or None for other logged values such as the learning rate."""
    return METRICS.get(name.rpartition("/")[2])


def best_mode(name: str) -> str | None:
    """Return the best direction of a logged name, "max" or "min", or None if neither is better."""
    known = metric(name)
    return known.best if known else None


def not_finite(metrics: Mapping[str, float]) -> list[str]:
    """Return the final metrics of a run that are not finite; if there are any, the run has diverged.

    An infinite PSNR is allowed, since identical images have it; that of the noisy images is ignored.
    """
    return [name for name, value in metrics.items() if not is_score(name, value) and _is_of_model(name)]


def is_score(name: str, value: float) -> bool:
    """Whether a value is valid for the metric of a logged name."""
    known = metric(name)
    return math.isfinite(value) or (value == math.inf and known is not None and known.may_be_infinite)


def to_json(value: float) -> float | str | None:
    """Convert a number for JSON: infinity becomes the text "inf", which `float` reads, and NaN becomes null."""
    return value if math.isfinite(value) else None if math.isnan(value) else str(value)


def from_json(value: Any) -> float | None:
    """Return the number that `to_json` wrote; None for NaN."""
    return None if value is None else float(value)


def _is_of_model(name: str) -> bool:
    known = metric(name)
    return known is None or known.of_model


def heading(name: str) -> str:
    """Return the column heading of a logged metric: "test acc (%)", "bsd68 PSNR (dB)"."""
    split, *test_set, last = name.split("/")
    known = METRICS[last]
    measured_on = test_set[0] if test_set else split
    # The noisy images are always test images, so the split is left out.
    return known.with_unit(known.heading if not (test_set or known.of_model) else f"{measured_on} {known.heading}")


def title(name: str) -> str:
    """Return the title of a panel that shows unscaled logged values: "validation accuracy (a fraction)"."""
    split, _, last = name.partition("/")
    known = METRICS[last]
    unit = "a fraction" if known.unit == "%" else known.unit
    return f"{SPLITS[split]} {known.label}" + (f" ({unit})" if unit else "")


def round_to_float32(value: float) -> float:
    """Return the shortest decimal that rounds to the same float32: 0.999, not 0.9990000128746033."""
    import numpy as np

    return float(str(np.float32(value)))
