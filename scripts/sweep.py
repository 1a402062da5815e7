"""Run many configurations: python scripts/sweep.py smoke --local 2; on a cluster: ... cluster=leonardo --submit."""

import argparse
import sys
from pathlib import Path

from wconv.experiment.common.output import tolerate_closed_output

ROOT = Path(__file__).resolve().parent.parent


@tolerate_closed_output()
def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code, as in train.py; errors are one sentence on stderr."""
    parser = argparse.ArgumentParser(
        description=__doc__, usage="%(prog)s SWEEP [KEY=VALUE ...] OPTION", allow_abbrev=False
    )
    names = ", ".join(sorted(path.stem for path in (ROOT / "configs" / "sweep").glob("*.yaml")))
    parser.add_argument("sweep", nargs="?", metavar="SWEEP", help=f"one of {names}, or the path of a sweep file")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="overrides of train.py for every run")
    parser.add_argument("--list", action="store_true", help="print status, folder and command of each run")
    parser.add_argument("--status", action="store_true", help="show the progress, until no job is running")
    parser.add_argument("--check", action="store_true", help="check data, environment, account and time; costs nothing")
    parser.add_argument("--probe", action="store_true", help="with --check: also submit a test job of two minutes")
    parser.add_argument("--local", type=int, metavar="N", help="run what is left here, N processes in parallel")
    parser.add_argument("--submit", action="store_true", help="submit what is left to SLURM, as an array")
    parser.add_argument(
        "--retry", choices=["failed"], help="rerun what failed or was killed, here or on SLURM as last time"
    )
    parser.add_argument("--dry-run", action="store_true", help="print what --submit would submit, and change nothing")
    parser.add_argument("--cancel", action="store_true", help="end all jobs of the sweep; --submit resumes it later")
    options = parser.parse_intermixed_args(arguments)
    if options.sweep is None:
        parser.error(f"name a sweep: {names}, or the path of a sweep file")
    from wconv.experiment.sweep import actions  # here, so that --help does not wait for PyTorch

    try:
        return actions.run_action(options, ROOT)
    except KeyboardInterrupt:
        return 75


if __name__ == "__main__":
    sys.exit(main())
