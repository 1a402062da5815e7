"""Find the density of a network: python scripts/search.py search=direct_l model=dncnn."""

import argparse
import sys

from wconv.experiment.common.output import tolerate_closed_output
from wconv.experiment.common.signals import deferred_signals


@tolerate_closed_output(drop_lines=True)
def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code, as in train.py; errors are one sentence on stderr."""
    parser = argparse.ArgumentParser(
        description=__doc__, usage="%(prog)s search=METHOD [KEY=VALUE ...] [OPTION]", allow_abbrev=False
    )
    parser.add_argument(
        "overrides",
        nargs="+",
        metavar="KEY=VALUE",
        help="search=direct_l, walk, grid, optuna or gradient; its settings, such as search.seeds=[0,1]; and any "
        "override of train.py",
    )
    parser.add_argument("--workers", type=int, metavar="N", help="N parallel processes (search=optuna)")
    parser.add_argument("--submit", action="store_true", help="submit the workers to SLURM, as an array")
    parser.add_argument("--status", action="store_true", help="show the progress, until no worker is running")
    parser.add_argument("--plot", nargs="?", const="", metavar="FILE", help="plot the evaluations so far")
    parser.add_argument("--no-confirm", action="store_true", help="leave out the trainings on fresh seeds")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_intermixed_args(arguments)
    with deferred_signals():
        # Imported here, so that --help does not wait for PyTorch.
        from wconv.experiment.search import actions

        return actions.run_action(options)


if __name__ == "__main__":
    sys.exit(main())
