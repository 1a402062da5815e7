"""The actions behind the options of scripts/sweep.py."""

import shutil
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from wconv.experiment.common.exceptions import RunError
from wconv.experiment.sweep import local, status_table
from wconv.experiment.sweep.launches import launches
from wconv.experiment.sweep.load import load_sweep
from wconv.experiment.sweep.manifest import UNKNOWN, Row, Sweep
from wconv.experiment.sweep.slurm import commands as slurm
from wconv.experiment.sweep.slurm import submit
from wconv.experiment.sweep.slurm.batch_file import fill_template
from wconv.experiment.sweep.state import State, format_counts, run_states

ACTIONS = ("list", "status", "check", "cancel", "local", "submit", "retry", "dry_run")
STARTING_SECONDS = 120
WHERE = {"local", "submit", "dry_run"}  # can be combined with --retry


def run_action(options: Namespace, root: Path) -> int:
    """Run the requested action and return the exit code; errors are printed as one sentence."""
    chosen = {name for name in ACTIONS if getattr(options, name) is not None and getattr(options, name) is not False}
    try:
        if len(chosen) != 1 and not (len(chosen) == 2 and "retry" in chosen and chosen & WHERE):
            raise ValueError(
                "choose one of --list, --status, --check, --local N, --submit, --retry failed, "
                "--dry-run and --cancel; only --retry may be combined: with --local, --submit or --dry-run"
            )
        if options.local is not None and options.local < 1:
            raise ValueError(f"--local {options.local}: at least one process is needed")
        looks = bool(chosen & {"status", "cancel"})
        without = looks or bool(chosen & {"list", "dry_run", "check"})
        sweep = load_sweep(options.sweep, options.overrides, root, refresh=not looks, without_data=without)
        return _do(chosen, options, sweep, root)
    except (ValueError, RunError) as error:
        message = str(error)
    except OSError as error:
        message = f"{error.filename or 'a file'} cannot be used ({error.strerror or error}); see paths.output_dir"
    print(f"sweep: {message}", file=sys.stderr)
    return 2


def _do(chosen: set[str], options: Namespace, sweep: Sweep, root: Path) -> int:
    if "status" in chosen:
        status_table.watch_states(sweep.name, lambda: run_states(sweep))
    elif "cancel" in chosen:
        jobs = submit.cancel(sweep)
        print(f"cancelled {', '.join(jobs)}; --submit resumes what is left" if jobs else "no job is at work")
        if any(launch.is_running_locally for launch in launches(sweep.folder)):
            print("runs are at work on this machine: press Ctrl-C where sweep.py --local was started")
    elif "list" in chosen:
        unknown = sum(UNKNOWN in row.directory.name for row in sweep.rows)
        if not unknown:
            sweep.write()
        for state in run_states(sweep):
            print(f"{state.kind}\t{state.row.directory}\tpython train.py {state.row.arguments}")
        where = (
            f"data is missing, on which the names of {unknown} folders depend"
            if unknown
            else sweep.folder / "manifest.csv"
        )
        print(f"{len(sweep.rows)} runs; {where}")
    elif "check" in chosen:
        from wconv.experiment.sweep.check import check

        return check(sweep, root, probe=options.probe)
    else:
        return _start(chosen, options, sweep, root)
    return 0


def _start(chosen: set[str], options: Namespace, sweep: Sweep, root: Path) -> int:
    if "dry_run" in chosen:
        return _preview(sweep, _to_do(run_states(sweep), retry=options.retry is not None), root)
    with ExitStack() as at_work:
        with _alone(sweep):  # two concurrent commands would start the same runs
            found = run_states(sweep)
            rows = _to_do(found, retry=options.retry is not None)
            if not rows:
                failed = any(one.kind == "failed" for one in found)
                advice = "; --retry failed runs the failed ones again" if failed else ""
                print(f"{sweep.name}: nothing to start: {format_counts(found)}{advice}")
                return 0
            sweep.write()
            if not options.local and (options.submit or not _ran_here(sweep)):
                launch = submit.submit(sweep, rows, root)
                tasks = launch.rows[-1][0] + 1
                print(f"submitted {len(rows)} runs as job {launch.jobs[0]} of {tasks} tasks: {launch.folder}")
                return 0
            launch = at_work.enter_context(local.local_launch(sweep, rows))
        code = local.run_locally(sweep.name, launch, rows, options.local or 1, root, lambda: run_states(sweep))
    status_table.print_states(sweep.name, run_states(sweep))
    return code


@contextmanager
def _alone(sweep: Sweep) -> Iterator[None]:
    """Lock the sweep, so that no other command starts runs of it."""
    sweep.folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(FileLock(sweep.folder / ".starting").acquire(timeout=STARTING_SECONDS))
        except Timeout:
            name, seconds = sweep.name, STARTING_SECONDS
            raise ValueError(f"another sweep.py has been starting {name} for {seconds} s; see --status") from None
        except NotImplementedError:  # the file system has no flock
            pass
        yield


def _to_do(found: list[State], *, retry: bool) -> list[Row]:
    """Choose the runs to start: never those that are done, queued or running."""
    kinds = {"failed", "stopped"} if retry else {"pending", "stopped"}
    return [state.row for state in found if state.kind in kinds and not state.queued]


def _ran_here(sweep: Sweep) -> bool:
    """Whether the last launch was on this machine, not on SLURM."""
    found = launches(sweep.folder)
    return found[-1].is_local if found else shutil.which("sbatch") is None


def _preview(sweep: Sweep, rows: list[Row], root: Path) -> int:
    """Print the batch file and the rows that it would run."""
    if rows:
        text = fill_template(sweep, sweep.folder / "launches" / "NEXT", len(rows), root)
        print(text)
        for row in rows:
            print(f"python train.py {row.arguments}")
    print(f"{sweep.name}: {len(rows)} of {len(sweep.rows)} runs would be started; nothing was changed")
    if shutil.which("sbatch") is None:
        print("there is no sbatch here: SLURM was not asked")
    else:
        slurm.check_time(sweep.settings.cluster, sweep.settings.resources)
    return 0
