"""The study that workers share: what is drawn, given up, taken up again; and what is assumed of Optuna."""

import optuna
import pytest
from optuna.trial import TrialState

from wconv.experiment.common.exceptions import RunError
from wconv.experiment.search import objective, study
from wconv.experiment.search.history import Outcome
from wconv.experiment.search.optuna_private import draw_jointly, resumed_trial
from wconv.experiment.search.settings import load_settings
from wconv.experiment.search.study import Study


@pytest.fixture
def make_study(words, monkeypatch):
    """Return a worker of a study whose trainings are a function of density and seed."""

    def train(settings, point, seed):
        train.calls.append((point, seed))
        if point in train.failing:
            return Outcome(seed, None, None, "run")
        return Outcome(seed, 0.9 - sum((value - 0.9) ** 2 for value in point) + 0.01 * seed, 1, "run")

    train.calls, train.failing = [], set()
    monkeypatch.setattr(objective, "train", train)

    def make(*more):
        settings = load_settings(words("optuna", *more))
        settings.folder.mkdir(parents=True, exist_ok=True)
        made = Study(settings, lambda *_: None)
        made.train = train
        return made

    return make


def test_what_is_assumed_of_optuna(tmp_path):
    """A trial of another worker goes on with what was drawn, and what belongs together is drawn at once."""
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(tmp_path / "journal")))
    one = optuna.create_study(storage=storage, study_name="one")
    trial = one.ask()
    drawn = trial.suggest_float("x", 0, 1)
    trial.report(0.5, 1)
    other = optuna.load_study(storage=storage, study_name="one", sampler=optuna.samplers.TPESampler(seed=3))
    again = resumed_trial(other, other.get_trials()[0])
    draw_jointly(again)
    assert again.suggest_float("x", 0, 1) == drawn
    again.report(0.4, 2)
    other.tell(again, 0.4)
    assert one.trials[0].value == 0.4
    assert one.trials[0].intermediate_values == {1: 0.5, 2: 0.4}


def test_a_study_tries_as_many_densities_as_it_may_each_once(make_study):
    worker = make_study("search.evaluations=12", "search.prune=false")
    worker.work()
    assert worker.is_done
    history = worker.write_history()
    assert [one.number for one in history.evaluations] == list(range(14))
    assert len({one.point for one in history.evaluations}) == 14
    assert len(worker.train.calls) == 28
    worker.work()
    assert len(worker.train.calls) == 28
    best = history.ranked(worker.settings.sign)[0]
    assert abs(best.point[0] - 0.9) < 0.1


def test_hopeless_densities_are_given_up_between_the_seeds(make_study):
    worker = make_study("search.evaluations=20", "search.seeds=[0,1,2]")
    worker.work()
    pruned = [one for one in worker.write_history().evaluations if one.status == "pruned"]
    assert pruned
    assert all(len(one.outcomes) < 3 for one in pruned)
    assert len(worker.train.calls) == 22 * 3 - sum(3 - len(one.outcomes) for one in pruned)


def test_bounds_with_few_values_end_a_study(make_study):
    worker = make_study("search.evaluations=12", "search.bounds.k3=[[0.7,0.702]]")
    worker.work()
    assert {one.point for one in worker.write_history().tried} == {(0.701,), (0.702,)}  # 0.7 is the published density
    assert worker.is_done


def test_a_trial_that_a_killed_worker_has_left_is_taken_up(make_study):
    left = make_study("search.evaluations=3")
    trial = left.study.ask()
    point = left._draw(trial)
    worker = make_study("search.evaluations=3")
    worker.work()
    assert worker.write_history().tried[0].point == point
    assert worker.is_done


def test_a_trial_that_another_worker_is_at_is_left_alone(make_study):
    other = make_study("search.evaluations=3")
    trial = other.study.ask()
    point = other._draw(trial)
    worker = make_study("search.evaluations=3")
    with study._claim(other._folder(trial.number)):
        worker.work()
        assert point not in {one for one, _ in worker.train.calls}
        assert not worker.is_done
        assert other.study.get_trials()[0].state == TrialState.RUNNING
    worker.work()
    assert worker.is_done


def test_three_failures_in_a_row_stop_a_study(make_study, monkeypatch):
    worker = make_study("search.evaluations=9")
    monkeypatch.setattr(objective, "train", lambda settings, point, seed: Outcome(seed, None, None, "run"))
    with pytest.raises(RunError, match="3 evaluations in a row have failed"):
        worker.work()


def test_a_journal_of_which_a_full_disk_kept_half_a_line_is_read(make_study):
    worker = make_study("search.evaluations=2")
    worker.work()
    journal = worker.settings.folder / study.JOURNAL
    before = worker.write_history().file.read_text()
    with journal.open("a") as file:
        file.write('{"op_code":5,"worker')
    again = make_study("search.evaluations=3")
    again.work()
    assert again.write_history().file.read_text().startswith(before)
    assert len(again.write_history().tried) == 3


def test_a_journal_that_is_damaged_is_said_to_be(make_study):
    worker = make_study()
    (worker.settings.folder / study.JOURNAL).write_text("no journal\nat all\n")
    with pytest.raises(RunError, match=r"journal.log is damaged .*; remove it"):
        make_study()
