"""Find the density of a network: python scripts/search.py search=direct_l model=dncnn."""

import argparse
import sys

from wconv.experiment.common.output import tolerate_closed_output
from wconv.experiment.common.signals import deferred_signals


@tolerate_closed_output(drop_lines=True)
def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: as train.py; with one sentence on stderr where something is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, usage="%(prog)s search=METHOD [KEY=VALUE ...] [OPTION]", allow_abbrev=False
    )
    parser.add_argument(
        "overrides",
        nargs="+",
        metavar="KEY=VALUE",
        help="search=direct_l, walk, grid, optuna or gradient; its settings, such as search.seeds=[0,1]; and what "
        "train.py takes",
    )
    parser.add_argument("--workers", type=int, metavar="N", help="N processes beside each other (search=optuna)")
    parser.add_argument("--submit", action="store_true", help="submit the workers to SLURM, as an array")
    parser.add_argument("--status", action="store_true", help="show how the search stands, until nobody is at work")
    parser.add_argument("--plot", nargs="?", const="", metavar="FILE", help="draw what was tried")
    parser.add_argument("--no-confirm", action="store_true", help="leave out the trainings on fresh seeds")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_intermixed_args(arguments)
    with deferred_signals():
        # Here, because it imports PyTorch, for which --help shall not wait.
        from wconv.experiment.search import actions

        return actions.run_action(options)


if __name__ == "__main__":
    sys.exit(main())
