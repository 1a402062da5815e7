"""Parse the options of train.py: Hydra's options that show something, and -m."""

from argparse import ArgumentParser, Namespace
from typing import NoReturn

from wconv.experiment.common.exceptions import ConfigError

FLAGS = ("help", "hydra_help", "multirun", "resolve")
WITH_VALUE = ("cfg", "info", "package")
SHOWN = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")  # values of --info
LONGEST = 4000  # characters of an argument; Hydra's parser is slow on absurdly long ones


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Refuse a command line with a message of our own."""
        usage_error(
            f"{message} (train.py has -m and some options of Hydra; "
            "the configuration is in configs/, changed by KEY=VALUE)"
        )


def parse_options(arguments: list[str]) -> tuple[Namespace, list[str]]:
    """Separate options from overrides.

    Returns:
        The parsed options, and the options as arguments, written so that none takes an override as its value.

    Raises:
        ConfigError: an option is unknown, or requires another one.
    """
    if longest := next((argument for argument in arguments if len(argument) > LONGEST), ""):
        raise ConfigError(f"{longest[:40]!r}...: an argument of {len(longest)} characters; {LONGEST} are the most")
    given = _parser().parse_intermixed_args(arguments)
    if given.hydra_help and given.overrides:
        usage_error("--hydra-help stands alone")
    if (given.resolve or given.package) and not (given.cfg or given.help):
        usage_error("--resolve and --package go with --cfg job")
    flags = [_option(name) for name in FLAGS if getattr(given, name)]
    return given, flags + [f"{_option(name)}={value}" for name in WITH_VALUE if (value := getattr(given, name))]


def usage_error(message: str) -> NoReturn:
    """Raise `ConfigError` for wrong options."""
    raise ConfigError(f"{message}; python train.py --help shows what there is")


def _parser() -> ArgumentParser:
    """Return a parser of the options of Hydra that train.py supports."""
    parser = _Parser(prog="train.py", add_help=False, allow_abbrev=False)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--hydra-help", action="store_true")
    parser.add_argument("--multirun", "-m", action="store_true")
    parser.add_argument("--cfg", "-c", choices=("job", "hydra", "all"))
    parser.add_argument("--resolve", action="store_true")
    parser.add_argument("--package", "-p")
    parser.add_argument("--info", "-i", nargs="?", const="all", choices=SHOWN)
    return parser


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
