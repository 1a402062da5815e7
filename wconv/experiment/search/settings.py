"""Parse the command line of a search into its settings: trainings, coefficients, folder."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from wconv.experiment.command_line.arguments import parse_command_line
from wconv.experiment.command_line.overrides import parse_values
from wconv.experiment.common.checkout import CONFIGS, resolve_paths
from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.common.failures import advise, configuration_errors
from wconv.experiment.common.metrics import METRICS, TASKS, Metric
from wconv.experiment.common.value_rules import check_value
from wconv.experiment.runs.identity import identity, model_name, run_hash, without_neutral
from wconv.experiment.search.scope import SearchSpace, search_space, weightable_layers
from wconv.experiment.tasks.build_task import check_compatibility
from wconv.experiment.tasks.instantiate import instantiate_group
from wconv.families import RANGES, published

Point = tuple[float, ...]
DIGITS = 3  # decimals of a coefficient; densities that agree up to these are the same training
FRESH = 5  # number of seeds for the confirmation
# Keys that do not identify a search: more evaluations continue it, and confirmation seeds change no evaluation.
OUTSIDE = ("evaluations", "confirm_seeds")
PUBLISHED = "v2 2-D"  # the default of conv=weighted
QUIET = "trainer.enable_progress_bar=false"


@dataclass(frozen=True)
class Settings:
    """A search.

    Attributes:
        words: arguments of train.py for every training, without arm and seed.
        config: the configuration of its weighted arm.
        search: the config group `search`.
        space: its coefficients.
        data: fingerprint of the data.
        output_dir: folder of all runs.
    """

    words: tuple[str, ...]
    config: DictConfig
    search: Mapping[str, Any]
    space: SearchSpace
    data: Mapping[str, Any]
    output_dir: Path

    @property
    def method(self) -> str:
        """Name of the search method."""
        return str(self.search["name"])

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of an evaluation."""
        return tuple(self.search["seeds"])

    @property
    def fresh_seeds(self) -> tuple[int, ...]:
        """The seeds that confirm."""
        after = max(self.seeds) + 1
        return tuple(self.search["confirm_seeds"] or range(after, after + FRESH))

    @property
    def evaluations(self) -> float:
        """How many densities may be tried, besides the two references."""
        return math.inf if self.search["evaluations"] is None else int(self.search["evaluations"])

    @property
    def metric_name(self) -> str:
        """Logged name of the objective metric, such as "val/acc"."""
        return str(self.search["metric"])

    @property
    def metric(self) -> Metric:
        """The objective metric."""
        return METRICS[self.metric_name.rpartition("/")[2]]

    @property
    def sign(self) -> int:
        """Factor that turns the metric into a value to minimise."""
        return -1 if self.metric.best == "max" else 1

    @property
    def references(self) -> tuple[Point, Point]:
        """The standard convolution, which is a density of ones, and the density that the authors published."""
        sizes = {part.size for part in self.space.parts}
        density = {size: published(PUBLISHED, int(size.removeprefix("k"))) for size in sizes}
        return (1.0,) * len(self.space.names), tuple(self.space.point(density))

    @property
    def content(self) -> dict[str, Any]:
        """Everything that determines the history of the search, as plain values."""
        config = OmegaConf.to_container(self.config, resolve=True)
        assert isinstance(config, dict)
        what = identity({str(key): value for key, value in config.items()}, self.data)
        what["config"].pop("seed", None)
        bounds = {name: list(ends) for name, ends in zip(self.space.names, self.space.bounds, strict=True)}
        search = {key: value for key, value in self.search.items() if key not in OUTSIDE}
        return {"search": without_neutral(search | {"bounds": bounds}), **what}

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{model_name(self.config.model)}-{self.method}-{run_hash(self.content)[:8]}"

    @property
    def folder(self) -> Path:
        """Folder of its history."""
        return self.output_dir / "searches" / self.name

    def training(self, point: Point, seed: int) -> list[str]:
        """Return the arguments of train.py for a density; a density of ones is the standard convolution."""
        if point == self.references[0]:
            return [*(word for word in self.words if not word.startswith("conv.")), "conv=standard", f"seed={seed}"]
        return [*self.words, "conv=weighted", *self.space.words(point), f"seed={seed}"]

    def describe(self, point: Point) -> str:
        """Return a readable name of a density."""
        known = dict(zip(self.references, ("the standard convolution", "the published density"), strict=True))
        return known.get(point) or " ".join(
            f"{name}={value:g}" for name, value in zip(self.space.names, point, strict=True)
        )


def load_settings(words: Sequence[str]) -> Settings:
    """Read the command line of a search.

    Args:
        words: overrides of train.py, search=METHOD and search.KEY=VALUE; relative folders start at the current one.

    Raises:
        ConfigError: an override is wrong, or some contradict each other.
    """
    own = [word for word in words if word.lstrip("+~").partition("=")[0].split(".")[0] == "search"]
    others = [word for word in words if word not in own]
    search = _read_search([word.lstrip("+") for word in own])
    for word in others:
        _check_training_word(word)
    line = parse_command_line([*others, "conv=weighted"], CONFIGS)
    if line.config is None:
        raise ConfigError(
            f"{' '.join(others)}: a search takes the arguments of a single run, without options and grids"
        )
    config = line.config
    if (config.trainer.devices, config.trainer.num_nodes) != (1, 1):
        raise ConfigError(
            f"trainer.devices={config.trainer.devices} on trainer.num_nodes={config.trainer.num_nodes}: the trainings "
            "of a search have one process each; several GPUs are for several workers (--workers, --submit)"
        )
    trained = [word for word in line.overrides if word != "conv=weighted"]
    if not any(word.startswith("trainer.enable_progress_bar=") for word in trained):
        trained.append(QUIET)
    search["metric"] = _check_metric(search["metric"], config.task.name)
    if overlap := set(search["seeds"]).intersection(search["confirm_seeds"] or ()):
        raise ConfigError(f"search.confirm_seeds: {min(overlap)} is one of search.seeds; a seed that confirms is fresh")
    with configuration_errors():
        check_compatibility(config)
        absolute = resolve_paths(config)
        data = instantiate_group(absolute.datamodule).fingerprint()
        space = _space(config, search)
    return Settings(tuple(trained), config, search, space, data, Path(absolute.paths.output_dir))


def _read_search(words: Sequence[str]) -> dict[str, Any]:
    """Return the config group of a method, with the typed values."""
    methods = sorted(path.stem for path in (CONFIGS / "search").glob("*.yaml"))
    chosen = [word.partition("=")[2] for word in words if word.startswith("search=")]
    if len(chosen) != 1 or chosen[0] not in methods:
        asked = " ".join(f"search={name}" for name in chosen) or "no search= was given"
        raise ConfigError(f"{asked}: choose one of search={', search='.join(methods)}")
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        base = compose(f"search/{chosen[0]}")
    values = [word for word in words if not word.startswith("search=")]
    with advise(f"configs/search/{chosen[0]}.yaml and direct_l.yaml list the keys"):
        parsed = parse_values(values, base, [])
    for key, value in parsed.items():
        OmegaConf.update(base, key, value)
    search = OmegaConf.to_container(base.search, resolve=True)
    assert isinstance(search, dict)
    for name, setting in search.items():
        check_value(f"search.{name!s}", setting)
    if search["name"] == "optuna" and search["evaluations"] is None:
        raise ConfigError("search.evaluations=null: search=optuna does not end by itself; give it a number")
    return {str(key): value for key, value in search.items()}


def _check_training_word(word: str) -> None:
    """Refuse overrides that the search sets itself, or that it does not support."""
    key, _, value = word.lstrip("+").partition("=")
    if key == "seed":
        raise ConfigError(f"{word}: the seeds of a search are search.seeds=[{value}]")
    if key == "force" and value != "false":
        raise ConfigError(f"{word}: a search goes on from the runs that are there; remove the folders to start over")
    if key == "conv" or (key.startswith("conv.") and not (key.startswith("conv.density.") and value == "null")):
        raise ConfigError(
            f"{word}: the arm and its density are what the search finds; conv.density.k5=null keeps kernels of 5x5 out"
        )


def _check_metric(name: Any, task: str) -> str:
    """Return the objective metric, which must be of the validation set, never of the test set."""
    known = [f"val/{metric}" for metric in TASKS[task].validated]
    if name is None:
        return TASKS[task].monitor
    if str(name).startswith("test/"):
        raise ConfigError(f"search.metric={name}: a search sees the validation set alone; choose {', '.join(known)}")
    if name not in known:
        raise ConfigError(f"search.metric={name}: task={task} has {', '.join(known)}; choose one of them")
    return str(name)


def _space(config: DictConfig, search: Mapping[str, Any]) -> SearchSpace:
    """Return the search space: all kernel sizes of the network that have bounds and are not left standard."""
    arguments: dict[str, Any] = {"num_classes": 2, "in_channels": 3}
    if config.task.name == "denoising":
        arguments = {"channels": config.datamodule.channels}
    model = instantiate_group(config.model, **arguments)
    there = set(weightable_layers(model).values())
    bounds = {}
    for size, given in search["bounds"].items():
        if given is not None:
            bounds[size] = _check_bounds(size, given)
        elif size in there and config.conv.density[size] is not None:
            bounds[size] = RANGES[int(size.removeprefix("k"))]
    for size in bounds:
        if size not in there:
            named = ", ".join(sorted(there)) or "none"
            raise ConfigError(f"search.bounds.{size}: the network has no such kernels to weight; it has {named}")
        if config.conv.density[size] is None:
            raise ConfigError(f"search.bounds.{size} and conv.density.{size}=null contradict each other; drop one")
    if not bounds:
        why = "the network has no kernels of 3x3, 5x5 or 7x7 to weight; choose another model"
        if there:
            why = f"those of all kernels of the network are left standard; drop conv.density.{min(there)}=null"
        raise ConfigError(f"there is no coefficient to search: {why}")
    return search_space(model, str(search["scope"]), bounds)


def _check_bounds(size: str, given: Any) -> list[tuple[float, float]]:
    """Check bounds, and return them rounded to the last digit of a coefficient."""
    count, key = int(size.removeprefix("k")) // 2, f"search.bounds.{size}={given}"
    example = [list(ends) for ends in RANGES[int(size.removeprefix("k"))]]
    pairs = given if isinstance(given, list) else []
    if len(pairs) != count or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise ConfigError(f"{key}: expected a pair of numbers for each coefficient, such as {example}")
    for pair in pairs:
        if not all(isinstance(end, int | float) and not isinstance(end, bool) and math.isfinite(end) for end in pair):
            raise ConfigError(f"{key}: expected finite numbers, such as {example}")
    rounded = [(round(float(low), DIGITS), round(float(high), DIGITS)) for low, high in pairs]
    for (low, high), pair in zip(rounded, pairs, strict=True):
        if low >= high:
            what = "is upside down" if pair[0] > pair[1] else f"leaves one value, with {DIGITS} digits, or none"
            raise ConfigError(f"{key}: {pair} {what}; the lowest value comes first, then a higher one")
    return rounded
