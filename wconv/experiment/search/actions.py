"""The actions behind the options of scripts/search.py."""

import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from wconv.experiment.common.exceptions import ConfigError, Interrupted, RunError
from wconv.experiment.common.failures import failure_message, save_traceback
from wconv.experiment.common.library_output import format_warnings_as_one_line
from wconv.experiment.common.text import escape_control_characters
from wconv.experiment.runs.lock import acquire_lock
from wconv.experiment.search import folder, methods, status
from wconv.experiment.search.history import Evaluation, History
from wconv.experiment.search.objective import FULL, EvaluationsUsedUp, Objective
from wconv.experiment.search.settings import DIGITS, Settings, load_settings

ACTIONS = ("submit", "status", "plot")
SHARED = "optuna"  # the method that supports several workers
TASKS = 4  # default number of workers of --submit


def run_action(options: Namespace) -> int:
    """Run the requested action and return the exit code; errors are printed as one sentence."""
    format_warnings_as_one_line()
    try:
        _check(options)
        settings = load_settings(options.overrides)
        _check_method(options, settings)
        return _do(options, settings)
    except RunError as error:
        ended: RunError = error
    except ValueError as error:  # raised for SLURM
        ended = ConfigError(str(error))
    except OSError as error:
        where = Path(error.filename or "a file")
        full = error.errno in FULL
        ended = RunError(failure_message(error, where)) if full else ConfigError(f"{where}: {error.strerror}")
    except KeyboardInterrupt:
        ended = Interrupted("stopped; run the same command to continue")
    except Exception as error:
        ended = save_traceback(error)
    print(f"search: {escape_control_characters(ended)}", file=sys.stderr, flush=True)
    return ended.exit_code


def _check(options: Namespace) -> None:
    chosen = [name for name in ACTIONS if getattr(options, name) not in (None, False)]
    if len(chosen) > 1 or (set(chosen) & {"status", "plot"} and options.workers is not None):
        raise ConfigError(
            "choose one of --workers N, --submit, --status and --plot; only --workers and --submit may be combined"
        )
    if options.workers is not None and options.workers < 1:
        raise ConfigError(f"--workers {options.workers}: at least one is needed")
    if isinstance(options.plot, str) and "=" in options.plot:
        raise ConfigError(f"--plot {options.plot}: that is no file; write the overrides before --plot")


def _check_method(options: Namespace, settings: Settings) -> None:
    if settings.method != SHARED and (options.workers or 1) > 1:
        raise ConfigError(
            f"--workers {options.workers}: search={settings.method} tries one density after the other; "
            f"search={SHARED} has workers"
        )
    if settings.method == "grid":
        points = int(settings.search["points"]) ** len(settings.space.names)
        if points > settings.evaluations:
            raise ConfigError(
                f"search.points={settings.search['points']} of {len(settings.space.names)} coefficients makes {points} "
                f"densities, and search.evaluations={settings.evaluations:.0f} allows fewer; change either"
            )
    if settings.method == SHARED:
        try:
            import optuna  # noqa: F401
        except ImportError as error:
            raise ConfigError(
                'search=optuna needs the package optuna, which is not installed: pip install -e ".[experiment]"'
            ) from error


def _do(options: Namespace, settings: Settings) -> int:
    if options.status or options.plot is not None:
        return _look(options, settings)
    folder.prepare(settings)
    if options.submit:
        from wconv.experiment.search.workers import submit_workers

        own = [word for word in options.overrides if word.partition("=")[0].split(".")[0] == "search"]
        confirmed = ["--no-confirm"] if options.no_confirm else []
        count = options.workers or (TASKS if settings.method == SHARED else 1)
        launch = submit_workers(settings, [*settings.words, *own, *confirmed], count)
        print(f"submitted {count} worker{'s' * (count > 1)} as job {launch.jobs[0]}: {launch.folder}")
        return 0
    if settings.method != SHARED:
        with acquire_lock(settings.folder):
            history = _try_one_after_the_other(settings)
            _conclude(options, settings, history)
        return 0
    return _share(options, settings)


def _look(options: Namespace, settings: Settings) -> int:
    def load() -> History:
        history = History(settings.folder / "history.csv", settings.space.names)
        history.load()
        return history

    if not (settings.folder / folder.FILE).exists():
        raise ConfigError(f"there is no {settings.folder}: this search has not been started, or has other settings")
    folder.check(settings)
    if options.status:
        status.watch(settings, load)
        return 0
    from wconv.experiment.search import picture

    if not load().evaluations:
        raise ConfigError(f"{settings.folder} has no evaluation yet, and there is nothing to draw")
    output = Path(options.plot or settings.folder / "landscape.png")
    picture.draw(settings.folder, output)
    print(output)
    return 0


def _try_one_after_the_other(settings: Settings) -> History:
    """Search with a method that uses a single process."""
    history = History(settings.folder / "history.csv", settings.space.names)
    history.load()
    objective = Objective(settings, history, _reporter(settings))
    objective.measure_references()
    print(status.noise_sentence(settings, history), flush=True)
    bounds, search = settings.space.bounds, settings.search
    try:
        if settings.method == "direct_l":
            methods.direct_l(objective, bounds)
        elif settings.method == "walk":
            start = settings.references[0 if search["start"] == "standard" else 1]
            methods.walk(objective, bounds, start, float(search["step"]), DIGITS)
        elif settings.method == "grid":
            methods.grid(objective, bounds, int(search["points"]))
        else:
            from wconv.experiment.search.gradient import trained_density

            if not history.tried:
                objective(trained_density(settings))
    except EvaluationsUsedUp:
        pass
    return history


def _share(options: Namespace, settings: Settings) -> int:
    """Run as a worker, together with others if requested; the last worker to end confirms."""
    from wconv.experiment.search.study import Study

    if (options.workers or 1) > 1:
        from wconv.experiment.search.workers import run_workers

        with acquire_lock(settings.folder):
            run_workers(options.overrides, options.workers)
            study = Study(settings, _reporter(settings))
            study.work()  # finishes the trials of killed workers
            _conclude(options, settings, study.write_history())
        return 0
    study = Study(settings, _reporter(settings))
    study.work()
    if options.worker:
        return 0
    if not study.is_done:
        print("other workers have the remaining trials; the last one to end runs the confirmation", flush=True)
        return 0
    try:
        with acquire_lock(settings.folder):
            _conclude(options, settings, study.write_history())
    except Interrupted as error:
        if "is held by" not in str(error):
            raise
        print("another worker confirms", flush=True)
    return 0


def _conclude(options: Namespace, settings: Settings, history: History) -> None:
    """Print the best density, and confirm it.

    Raises:
        RunError: no evaluation was completed; or as `confirm`.
    """
    ranked = history.ranked(settings.sign)
    if not ranked:
        raise RunError(f"no evaluation was completed; see the error.log of the runs in {settings.folder}/history.csv")
    print(status.noise_sentence(settings, history))
    print(status.gain_sentence(settings, history))
    best = ranked[0].point
    words = " ".join(settings.training(best, settings.seeds[0])[len(settings.words) :][:-1])
    print(f"to train it: {words}")
    if options.no_confirm:
        print("NOTHING WAS CONFIRMED (--no-confirm): the best of many is partly the luckiest")
    else:
        from wconv.experiment.search.confirm import confirm

        print(f"confirming on fresh seeds {', '.join(map(str, settings.fresh_seeds))}", flush=True)
        print(confirm(settings, best))
    print(settings.folder, flush=True)


def _reporter(settings: Settings) -> Callable[[History, Evaluation], None]:
    return lambda history, one: print(status.progress_line(settings, history, one), flush=True)
