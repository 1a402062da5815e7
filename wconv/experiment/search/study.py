"""Search with Optuna's TPE; the study is a journal file that any number of workers on any number of nodes share.

All workers run the same program. A worker first continues the trial of a killed worker, if there is one, and otherwise
asks for a new trial. It locks the folder of the trial, as for a run, so that nothing is lost or done twice. The sampler
is seeded by the number of the trial, so the draws of a single worker do not depend on where it was stopped.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from statistics import fmean

import numpy as np
import optuna
from filelock import FileLock
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from wconv.experiment.common.exceptions import Interrupted, RunError
from wconv.experiment.runs.lock import acquire_lock
from wconv.experiment.search.history import COMPLETED, FAILED, PRUNED, REFERENCES, Evaluation, History, Outcome
from wconv.experiment.search.objective import Report, outcomes_of, status_of, stop_if_it_keeps_failing
from wconv.experiment.search.optuna_private import draw_jointly, resumed_trial
from wconv.experiment.search.settings import DIGITS, Point, Settings

JOURNAL, TRIALS = "journal.log", "trials"
OUTCOMES = "outcomes"  # attribute of an evaluated trial; a trial without it repeated an earlier density
STATES = {COMPLETED: TrialState.COMPLETE, FAILED: TrialState.FAIL, PRUNED: TrialState.PRUNED}
REPEATS = 20  # the bounds count as exhausted when repeated densities outnumber new ones by this


class Study:
    """A search shared between workers, as seen by one of them.

    Args:
        settings: of the search.
        report: called for each evaluation of this worker.

    Raises:
        RunError: the journal cannot be read.
    """

    def __init__(self, settings: Settings, report: Report) -> None:
        self.settings = settings
        self.report = report
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        journal = settings.folder / JOURNAL
        _cut_off_half_a_line(journal)
        try:
            storage = JournalStorage(JournalFileBackend(str(journal)))
            self.study = optuna.create_study(
                storage=storage,
                study_name=settings.name,
                direction=StudyDirection.MAXIMIZE if settings.metric.best == "max" else StudyDirection.MINIMIZE,
                pruner=optuna.pruners.MedianPruner() if settings.search["prune"] else optuna.pruners.NopPruner(),
                load_if_exists=True,
            )
        except (ValueError, KeyError) as error:
            raise RunError(f"{journal} is damaged ({error}); remove it: finished runs are not trained again") from error

    @property
    def is_done(self) -> bool:
        """Whether the search is finished, including the trials of other workers."""
        at_work = any(not trial.state.is_finished() for trial in self._kept())
        return not at_work and self._is_used_up and len(self.study.user_attrs) == REFERENCES

    @property
    def _is_used_up(self) -> bool:
        """Whether no new trial can be started."""
        kept, trials = len(self._kept()), len(self.study.get_trials(deepcopy=False))
        return kept >= self.settings.evaluations or trials - kept >= REPEATS + kept

    def work(self) -> None:
        """Evaluate one density after the other, until all remaining trials are taken by other workers.

        Raises:
            RunError: three evaluations in a row have failed; or as `objective.train`.
        """
        for number, point in enumerate(self.settings.references):
            with _claim(self.settings.folder / TRIALS / f"reference{number}") as is_mine:
                if is_mine and str(number) not in self.study.user_attrs:
                    outcomes = tuple(outcomes_of(self.settings, point))
                    self.study.set_user_attr(str(number), [asdict(outcome) for outcome in outcomes])
                    self._tell(number)
        while self._work_on_left_trial() or self._work_on_new_trial():
            pass

    def _work_on_left_trial(self) -> bool:
        """Continue a trial whose worker has ended; return whether there was one."""
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            with _claim(self._folder(trial.number)) as is_mine:
                if is_mine and self.study.get_trials(deepcopy=False)[trial.number].state == TrialState.RUNNING:
                    self._evaluate(resumed_trial(self.study, trial))
                    return True
        return False

    def _work_on_new_trial(self) -> bool:
        """Ask for a new trial and evaluate it; return whether there was one."""
        if self._is_used_up:
            return False
        trial = self.study.ask()
        with _claim(self._folder(trial.number)) as is_mine:
            if is_mine:  # else another worker has claimed it already
                self._evaluate(trial)
        return True

    def _evaluate(self, trial: optuna.Trial) -> None:
        """Train the density of a trial with one seed after the other, and prune it if it is not promising.

        Pruning is decided between seeds: the mean so far is compared with those of other trials over the same seeds,
        which start from the same weights. Pruning between epochs would judge networks in the middle of their schedule,
        and leave runs that are neither done nor failed.
        """
        point = self._draw(trial)
        before = [self._point(other) for other in self._kept() if other.number < trial.number]
        if point in (*self.settings.references, *before) or len(before) >= self.settings.evaluations:
            self.study.tell(trial, state=TrialState.FAIL)
            return
        # Reported by a killed worker; Optuna warns about values that are reported twice.
        reported = self.study.get_trials(deepcopy=False)[trial.number].intermediate_values
        outcomes: list[Outcome] = []
        status = COMPLETED
        for outcome in outcomes_of(self.settings, point):
            outcomes.append(outcome)
            status = status_of(outcomes)
            if status == FAILED:
                break
            if len(outcomes) not in reported:
                trial.report(_mean(outcomes), len(outcomes))
            if len(outcomes) < len(self.settings.seeds) and trial.should_prune():
                status = PRUNED
                break
        trial.set_user_attr(OUTCOMES, [asdict(outcome) for outcome in outcomes])
        self.study.tell(trial, _mean(outcomes) if status == COMPLETED else None, STATES[status])
        self._tell(REFERENCES + len(before))

    def _draw(self, trial: optuna.Trial) -> Point:
        """Return the density of a trial: the coefficients that it already has, and else what the sampler draws."""
        space, seed = self.settings.space, int(self.settings.search["sampler_seed"])

        def seeded(place: int) -> optuna.samplers.TPESampler:
            number = int(np.random.SeedSequence([seed, trial.number, place]).generate_state(1)[0])
            return optuna.samplers.TPESampler(seed=number, multivariate=True, constant_liar=True)

        self.study.sampler = seeded(0)
        draw_jointly(trial)
        drawn = []
        for place, (name, (low, high)) in enumerate(zip(space.names, space.bounds, strict=True), 1):
            self.study.sampler = seeded(place)
            drawn.append(round(trial.suggest_float(name, low, high, step=10**-DIGITS), DIGITS))
        return tuple(drawn)

    def _kept(self) -> list[FrozenTrial]:
        """Return the trials that are evaluations; the others repeated earlier densities."""
        trials = self.study.get_trials(deepcopy=False)
        return [trial for trial in trials if trial.state != TrialState.FAIL or OUTCOMES in trial.user_attrs]

    def _point(self, trial: FrozenTrial) -> Point:
        return tuple(round(trial.params.get(name, float("nan")), DIGITS) for name in self.settings.space.names)

    def _folder(self, number: int) -> Path:
        return self.settings.folder / TRIALS / str(number)

    def _tell(self, number: int) -> None:
        history = self.write_history()
        one = next(one for one in history.evaluations if one.number == number)
        self.report(history, one)
        if one.status == FAILED:
            stop_if_it_keeps_failing(history, self.settings)

    def write_history(self) -> History:
        """Write history.csv from the journal, and return the history."""
        history = History(self.settings.folder / "history.csv", self.settings.space.names)
        with _alone(self.settings.folder / ".history.lock"):
            for number, point in enumerate(self.settings.references):
                if rows := self.study.user_attrs.get(str(number)):
                    outcomes = tuple(Outcome(**row) for row in rows)
                    history.evaluations.append(Evaluation(number, point, status_of(outcomes), outcomes))
            words = {state: status for status, state in STATES.items()}
            for number, trial in enumerate(self._kept(), REFERENCES):
                if trial.state.is_finished():
                    outcomes = tuple(Outcome(**row) for row in trial.user_attrs[OUTCOMES])
                    history.evaluations.append(Evaluation(number, self._point(trial), words[trial.state], outcomes))
            history.save()
        return history


def _mean(outcomes: list[Outcome]) -> float:
    return fmean(outcome.value for outcome in outcomes if outcome.value is not None)


@contextmanager
def _claim(folder: Path) -> Iterator[bool]:
    """Lock a folder unless a living process holds it; yields whether it is locked now."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(acquire_lock(folder))
        except Interrupted:
            yield False
            return
        yield True


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Let one worker at a time write; without flock, the next writer corrects an outdated file."""
    with ExitStack() as stack:
        with suppress(NotImplementedError):
            stack.enter_context(FileLock(lock))
        yield


def _cut_off_half_a_line(journal: Path) -> None:
    """Remove an incomplete last line (from a full disk), since the next entry would be appended to it."""
    if not journal.exists():
        return
    lock = JournalFileSymlinkLock(str(journal))
    lock.acquire()
    try:
        content = journal.read_bytes()
        if not content.endswith(b"\n"):
            with journal.open("r+b") as file:
                file.truncate(content.rfind(b"\n") + 1)
    finally:
        lock.release()
