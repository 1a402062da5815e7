"""Upload the W&B records of runs that were made offline: python scripts/sync_wandb.py runs."""

import argparse
import sys
from pathlib import Path

from wconv.experiment.common.output import tolerate_closed_output
from wconv.experiment.reports.wandb.server import unreachable_reason
from wconv.experiment.reports.wandb.sync import find_pending, upload

ROOT = Path(__file__).resolve().parents[1]


@tolerate_closed_output(drop_lines=True)
def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 if something is left, 2 with one sentence on stderr."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Unfinished runs are uploaded up to the last closed part (logger.part_minutes). Uploaded parts are "
        "marked, so the same command continues where it was stopped and uploads nothing twice.",
    )
    parser.add_argument("runs", nargs="?", type=Path, default=ROOT / "runs", metavar="RUNS", help="default: runs")
    parser.add_argument("--entity", help="team or user (default: the one the runs were recorded for)")
    parser.add_argument("--project", help="likewise")
    parser.add_argument("--batch", type=int, default=20, metavar="N", help="parts per upload process (default: 20)")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be uploaded")
    options = parser.parse_args(arguments)
    try:
        if options.batch < 1:
            raise ValueError(f"--batch {options.batch}: expected a whole number from 1")
        found = find_pending(options.runs)
        waiting = found.closed
        print(f"{found.runs} runs; to upload: {len(waiting)} parts; still being written: {len(found.open)}", flush=True)
        if options.dry_run or not waiting:
            for part in waiting:
                print(part.folder)
            return 0
        if reason := unreachable_reason():
            raise ValueError(f"nothing can be uploaded from here: {reason}")
    except ValueError as error:
        print(f"sync_wandb: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        print(f'sync_wandb: needs {error.name}: pip install -e ".[experiment]"', file=sys.stderr)
        return 2
    wrong = upload(
        waiting,
        options.batch,
        options.entity,
        options.project,
        on_progress=lambda count: print(f"uploaded {count} of {len(waiting)}", flush=True),
    )
    if wrong:
        print(f"sync_wandb: {wrong}; run the same command to continue", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
