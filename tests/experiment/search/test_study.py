"""Optuna's study, with runs that are computed instead of trained: what is killed goes on, and ends the same."""

import math
import random
import statistics
import warnings
from functools import partial

import optuna
import pytest
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from tests.experiment.search.conftest import Runs, settings_in
from wconv.experiment.common.exceptions import RunError
from wconv.experiment.runs.lock import acquire_lock
from wconv.experiment.search import objective, study
from wconv.experiment.search.history import COMPLETED, FAILED, PRUNED
from wconv.experiment.search.optuna_private import draw_jointly, resumed_trial
from wconv.experiment.search.study import JOURNAL, TRIALS, Study

EVALUATIONS = 14  # the first ten are drawn without a model


class Killed(BaseException):
    """Ends a worker as a signal does that cannot be caught."""


class Search:
    """A study of two coefficients with two seeds."""

    def __init__(self, make_settings, runs, **search):
        chosen = {"seeds": [0, 1], "evaluations": EVALUATIONS, **search}
        self.settings = make_settings("search=optuna", "model.kernel_size=5", **chosen)
        self.runs = runs
        self.told = []

    def study(self, report=None):
        """A study as a new process has it."""
        return Study(self.settings, report or (lambda history, one: self.told.append(one.number)))

    def work(self):
        study = self.study()
        study.work()
        return study.write_history()

    def content(self):
        return (self.settings.folder / "history.csv").read_text()

    def forget(self):
        """Remove everything but the settings."""
        for file in (JOURNAL, "history.csv"):
            (self.settings.folder / file).unlink()
        self.runs.forget()


@pytest.fixture
def search(runs, make_settings):
    return Search(make_settings, runs)


@pytest.fixture(scope="module")
def alone(loaded, tmp_path_factory):
    """What a search comes to that is left alone: history.csv, and its trainings."""
    folder = tmp_path_factory.mktemp("alone")
    runs = Runs(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objective, "run", runs)
        search = Search(partial(settings_in, folder, loaded), runs)
        search.work()
    return search.content(), runs.trained


def after(calls, function):
    """Return the function, which is killed at one of its calls, before or after it has done its work."""
    made = 0

    def counted(*arguments, **keywords):
        nonlocal made
        made += 1
        if made == math.ceil(calls):
            if calls % 1:
                raise Killed
            function(*arguments, **keywords)
            raise Killed
        return function(*arguments, **keywords)

    return counted


def test_a_study_has_the_evaluations_that_were_asked_for(search, runs):
    assert not search.study().is_done
    history = search.work()
    assert search.study().is_done
    assert [one.number for one in history.evaluations] == search.told == list(range(2 + EVALUATIONS))
    assert [one.point for one in history.evaluations[:2]] == [(1.0, 1.0), (0.2, 0.8)]
    assert len({one.point for one in history.evaluations}) == 2 + EVALUATIONS
    assert len(set(runs.trained)) == len(runs.trained)
    for one in history.tried:
        for value, (low, high) in zip(one.point, search.settings.space.bounds, strict=True):
            assert low <= value == round(value, 3) <= high
    search.work()
    assert len(search.told) == 2 + EVALUATIONS


def test_the_model_learns(make_settings, runs):
    tried = Search(make_settings, runs, evaluations=30, prune=False, seeds=[0]).work().tried
    first, last = (statistics.fmean(one.mean for one in some) for some in (tried[:10], tried[-10:]))
    assert last > first + 0.1


def test_another_sampler_seed_draws_others(make_settings, runs):
    first, second = (Search(make_settings, runs, evaluations=2, sampler_seed=seed).work() for seed in (0, 1))
    assert not {one.point for one in first.tried} & {one.point for one in second.tried}


def test_a_search_killed_anywhere_ends_as_one_left_alone(search, runs, monkeypatch, alone):
    append = JournalFileBackend.append_logs
    search.work()
    lines = len((search.settings.folder / JOURNAL).read_text().splitlines())
    for instant in sorted(random.Random(0).sample(range(2, lines), 5)):  # after so many changes of the journal
        search.forget()
        monkeypatch.setattr(JournalFileBackend, "append_logs", after(instant, append))
        with pytest.raises(Killed):
            search.work()
        monkeypatch.setattr(JournalFileBackend, "append_logs", append)
        search.work()
        assert (search.content(), runs.trained) == alone, instant


@pytest.mark.parametrize("training", [0.5, 5.5, 20.5])
def test_a_search_killed_in_a_training_ends_as_one_left_alone(search, runs, alone, training):
    value = runs.value
    runs.value = after(training, value)
    with pytest.raises(Killed):
        search.work()
    runs.value = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search.work()
    assert (search.content(), runs.trained) == alone


def test_a_search_killed_between_two_trials_ends_as_one_left_alone(search, runs, alone):
    def kill_at(number, history, one):
        if one.number >= number:
            raise Killed

    for number in (0, 3, 13):
        with pytest.raises(Killed):
            search.study(partial(kill_at, number)).work()
    search.work()
    assert (search.content(), runs.trained) == alone


def test_half_a_line_of_the_journal_is_cut_off(search, alone):
    search.work()
    journal = search.settings.folder / JOURNAL
    content = journal.read_bytes()
    journal.write_bytes(content[: content.index(b"\n", len(content) // 2) - 10])
    search.work()
    assert (search.content(), search.runs.trained) == alone


def test_a_damaged_journal_is_named(search):
    search.study()
    journal = search.settings.folder / JOURNAL
    journal.write_bytes(b"nonsense\n" + journal.read_bytes())
    with pytest.raises(RunError, match=r"journal\.log is damaged .*; remove it: finished runs are not trained again"):
        search.study()


def test_hopeless_densities_are_given_up_after_the_first_seed(search):
    tried = search.work().tried
    pruned = [one for one in tried if one.status == PRUNED]
    assert pruned
    for one in pruned:
        assert [outcome.seed for outcome in one.outcomes] == [0]
        before = [other.values[0] for other in tried if other.number < one.number and other.status == COMPLETED]
        assert one.values[0] < statistics.median(before)


def test_nothing_is_given_up_without_pruning(make_settings, runs):
    history = Search(make_settings, runs, prune=False).work()
    assert {one.status for one in history.evaluations} == {COMPLETED}


def test_a_training_that_fails_is_recorded_and_the_search_goes_on(search, runs, capsys):
    value = runs.value

    def fails(density, seed):
        if len(density) > 1 and density[1] > 1.3:
            raise RunError("the loss is NaN")
        return value(density, seed)

    runs.value = fails
    history = search.work()
    failed = [one for one in history.evaluations if one.status == FAILED]
    assert failed
    assert all(one.point[1] > 1.3 and len(one.outcomes) == 1 for one in failed)
    assert len(history.tried) == EVALUATIONS
    assert capsys.readouterr().err.count("the loss is NaN") == len(failed)


def test_three_failures_in_a_row_end_the_search(search, runs):
    def fails(density, seed):
        raise RunError("the loss is NaN")

    runs.value = fails
    with pytest.raises(RunError, match="3 evaluations in a row have failed"):
        search.work()
    assert search.told == [0, 1, 2]


def test_a_trial_of_a_living_worker_is_left_alone(search, runs):
    search.settings.search["evaluations"] = 3
    value = runs.value
    runs.value = after(5.5, value)
    with pytest.raises(Killed):
        search.work()
    runs.value = value
    with acquire_lock(search.settings.folder / TRIALS / "0"):
        search.work()  # does the others
        other = search.study()
        assert not other.is_done
        assert [trial.state for trial in other.study.trials].count(TrialState.RUNNING) == 1
    assert len(search.work().tried) == 3
    assert search.study().is_done


def test_bounds_with_few_densities_end_the_search(make_settings, runs, monkeypatch):
    monkeypatch.setattr(study, "REPEATS", 4)
    settings = make_settings("search=optuna", "search.bounds.k3=[[0.7,0.702]]", seeds=[0], evaluations=5)
    worker = Study(settings, lambda history, one: None)
    worker.work()
    assert {one.point for one in worker.write_history().tried} == {(0.701,), (0.702,)}  # 0.7 is the published one


def test_what_is_assumed_of_optuna(tmp_path):
    """A trial that runs can be taken up by its number in the storage, with the parameters and reports it has."""
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    trial = study.ask()
    trial.suggest_float("a", 0, 1)
    trial.report(0.5, 1)
    [left] = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    again = resumed_trial(study, left)
    assert again.number == trial.number
    assert again.suggest_float("a", 0, 1) == trial.params["a"]
    assert left.intermediate_values == {1: 0.5}
    study.tell(again, 0.5)
    assert study.trials[0].state == TrialState.COMPLETE


def test_what_is_drawn_jointly_is_drawn_before_the_first_parameter():
    """The sampler is asked once, for all parameters, when `draw_jointly` says so, not at the first one."""
    study = optuna.create_study()
    for value in range(12):
        study.add_trial(
            optuna.trial.create_trial(
                params={"a": value / 12, "b": value / 12},
                distributions=dict.fromkeys("ab", optuna.distributions.FloatDistribution(0, 1)),
                value=float(value),
            )
        )
    drawn = []
    for place in (0, 1):
        study.sampler = optuna.samplers.TPESampler(seed=3, multivariate=True)
        trial = study.ask()
        draw_jointly(trial)
        study.sampler = optuna.samplers.RandomSampler(seed=place)  # is not asked any more
        drawn.append([trial.suggest_float(name, 0, 1) for name in "ab"])
        study.tell(trial, state=TrialState.FAIL)
    assert drawn[0] == drawn[1]
