"""Parse the arguments of train.py into one checked configuration, or something for Hydra to show or run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from wconv.experiment.command_line.options import parse_options, usage_error
from wconv.experiment.command_line.override_paths import absolute_override
from wconv.experiment.command_line.overrides import LAUNCHER, check_overrides
from wconv.experiment.command_line.secrets import forbid_secret_interpolation
from wconv.experiment.command_line.shorthand import expand_fast
from wconv.experiment.command_line.show import text_to_show
from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.common.value_rules import check_values


@dataclass(frozen=True)
class CommandLine:
    """A parsed and checked command line.

    Attributes:
        arguments: options first, then overrides with absolute paths.
        overrides: the arguments that are not options.
        config: the composed configuration of a single run; None if something is shown or a grid is run.
        shown: the text to print instead of a run; empty if Hydra shows something else.
    """

    arguments: list[str]
    overrides: list[str]
    config: DictConfig | None
    shown: str = ""


def parse_command_line(arguments: Sequence[str], configs: Path) -> CommandLine:
    """Check the arguments of train.py, and compose the configuration once.

    Args:
        arguments: the command line without the program.
        configs: folder of the configuration.

    Raises:
        ConfigError: an unknown group, key or choice, a value of the wrong type or out of range, or an argument that
            cannot be parsed.
    """
    parsed, options = parse_options(list(arguments))
    forbid_secret_interpolation()
    overrides = expand_fast(absolute_override(line, parsed.multirun) for line in parsed.overrides)
    overrides += _cluster_of_launcher(overrides, configs)
    with initialize_config_dir(str(configs), version_base="1.3"):
        try:
            lines = OverridesParser.create(GlobalHydra.instance().config_loader()).parse_overrides(overrides)
            config = check_overrides(lines, parsed.multirun)
            if parsed.package and OmegaConf.select(config, parsed.package) is None:
                usage_error(f"--package {parsed.package}: the configuration has no such part")
        except ConfigError:
            raise
        except Exception as error:  # Hydra, OmegaConf and the parser raise many types on malformed arguments
            if isinstance(error.__cause__, ConfigError):  # raised in an interpolation
                raise error.__cause__ from None
            text = " ".join(str(error).split()).split(" See https")[0] or type(error).__name__
            raise ConfigError(f"{text} (special characters need quotes: \"KEY='VALUE'\")") from error
        if not options:
            check_values(config)
    shown = text_to_show(parsed, config, configs)
    return CommandLine(options + overrides, overrides, None if options else config, shown)


def _cluster_of_launcher(overrides: list[str], configs: Path) -> list[str]:
    """Return cluster=NAME for hydra/launcher=NAME unless a cluster is given; in Hydra, a launcher cannot set it."""
    chosen = dict(override.split("=", 1) for override in overrides if "=" in override)
    name = chosen.get(LAUNCHER)
    is_ours = name is not None and (configs / "cluster" / f"{name}.yaml").exists()
    return [f"cluster={name}"] if is_ours and "cluster" not in chosen else []
