"""What a method minimises, with runs that are computed instead of trained."""

import errno
from itertools import count

import pytest

from wconv.experiment.common import signals
from wconv.experiment.common.exceptions import ConfigError, Interrupted, RunError
from wconv.experiment.search import methods
from wconv.experiment.search.history import COMPLETED, FAILED, History
from wconv.experiment.search.objective import EvaluationsUsedUp, Objective

REFERENCES = [((1.0,), 0), ((1.0,), 1), ((0.7,), 0), ((0.7,), 1)]


class Search:
    """An objective over one coefficient with two seeds, and what it tells."""

    def __init__(self, make_settings, **search):
        self.settings = make_settings("search=direct_l", **{"seeds": [0, 1], "evaluations": 6, **search})
        self.told = []
        self.start()

    def start(self):
        """Begin, or begin again as a new process."""
        self.history = History(self.settings.folder / "history.csv", self.settings.space.names)
        self.history.load()
        self.objective = Objective(self.settings, self.history, lambda history, one: self.told.append(one))

    def statuses(self):
        return [one.status for one in self.history.evaluations]


@pytest.fixture
def search(runs, make_settings):
    return Search(make_settings)


def fail_at(*densities, error=RunError):
    def value(density, seed):
        if density[0] in densities:
            raise error("the loss is NaN")
        return density[0]

    return value


def test_the_references_come_first(search, runs):
    search.objective.measure_references()
    assert runs.trained == REFERENCES
    assert [(one.number, one.point, one.status) for one in search.told] == [
        (0, (1.0,), COMPLETED),
        (1, (0.7,), COMPLETED),
    ]
    search.start()
    search.objective.measure_references()
    assert runs.trained == REFERENCES


def test_more_accuracy_is_less_and_the_seeds_count_alike(search):
    assert search.objective([0.85]) == pytest.approx(-0.6005)
    assert search.objective([0.95]) == pytest.approx(-0.5905)


def test_no_density_is_tried_twice(search, runs):
    search.objective.measure_references()
    first = search.objective([0.85])
    assert search.objective([0.85004]) == first  # rounded
    assert search.objective([0.7]) == pytest.approx(-0.578)  # a reference
    search.start()
    assert search.objective([0.85]) == first
    assert runs.trained == [*REFERENCES, ((0.85,), 0), ((0.85,), 1)]
    assert len(search.told) == 3


def test_a_lost_history_is_told_again_by_the_runs(search, runs):
    minimise(search)
    trained, content = list(runs.trained), search.history.file.read_bytes()
    search.history.file.unlink()
    search.start()
    minimise(search)
    assert runs.trained == trained
    assert search.history.file.read_bytes() == content


def minimise(search):
    search.objective.measure_references()
    with pytest.raises(EvaluationsUsedUp):
        methods.direct_l(search.objective, search.settings.space.bounds)


def test_evaluations_are_used_up_by_new_densities_alone(search, runs):
    minimise(search)
    assert len(search.history.tried) == 6  # DIRECT begins in the middle, with the standard convolution
    assert len(set(runs.trained)) == len(runs.trained) == 2 * (2 + 6)


@pytest.mark.parametrize("stop", [0, 3, 4, 9, 15])
def test_a_search_that_was_killed_ends_as_one_left_alone(search, runs, stop):
    minimise(search)
    trained, content = list(runs.trained), search.history.file.read_bytes()
    search.history.file.unlink()
    runs.forget()
    left, value = count(stop, -1), runs.value

    def killed(density, seed):
        if next(left) == 0:
            raise KeyboardInterrupt
        return value(density, seed)

    runs.value = killed
    search.start()
    with pytest.raises(KeyboardInterrupt):
        minimise(search)
    search.start()
    minimise(search)
    assert runs.trained == trained
    assert search.history.file.read_bytes() == content


def test_a_training_that_fails_is_recorded_and_the_search_goes_on(search, runs, capsys):
    runs.value = fail_at(0.9)
    search.objective.measure_references()
    worst = search.objective([0.6])
    assert search.objective([0.9]) == worst == -0.6
    assert search.objective([0.5]) == -0.5
    assert search.objective([0.9]) == worst  # as before, though 0.5 is worse by now
    assert search.statuses() == [COMPLETED, COMPLETED, COMPLETED, FAILED, COMPLETED]
    [outcome] = search.history.evaluations[3].outcomes  # no second seed
    assert (outcome.value, outcome.epochs) == (None, None)
    assert outcome.run.startswith("classification/vgg-weighted-s0-")
    name = outcome.run.rpartition("/")[2]
    assert capsys.readouterr().err == f"warning: {name}: the loss is NaN\n"


def test_a_training_without_a_value_has_failed(search, runs):
    runs.value = lambda density, seed: float("nan")
    search.objective([0.9])
    assert search.statuses() == [FAILED]


def test_three_failures_in_a_row_end_the_search(search, runs):
    runs.value = fail_at(0.5, 0.6, 0.8, 0.9)
    search.objective([0.5])
    search.objective([0.55])
    for density in (0.6, 0.8):
        search.objective([density])
    with pytest.raises(RunError, match=r"3 evaluations in a row have failed, the last one in .*vgg-weighted-s0-"):
        search.objective([0.9])
    search.start()
    assert search.statuses() == [FAILED, COMPLETED, FAILED, FAILED, FAILED]


def test_a_full_disk_is_no_matter_of_the_density(search, runs):
    def full(density, seed):
        raise RunError("no room is left") from OSError(errno.ENOSPC, "No space left on device")

    runs.value = full
    with pytest.raises(RunError, match="no room is left"):
        search.objective([0.9])
    search.start()
    assert search.history.evaluations == []


@pytest.mark.parametrize("error", [ConfigError, Interrupted])
def test_what_is_no_failure_ends_the_search_at_once(search, runs, error):
    runs.value = fail_at(0.9, error=error)
    with pytest.raises(error):
        search.objective([0.9])
    search.start()
    assert search.history.evaluations == []


def test_a_search_that_is_asked_to_stop_trains_no_more(search, runs, monkeypatch):
    monkeypatch.setattr(signals, "_received", [15])
    with pytest.raises(Interrupted, match="stopped by SIGTERM; run the same command to continue"):
        search.objective([0.9])
    assert runs.trained == []


def test_runs_without_the_metric_are_refused(search, runs):
    runs.metric = "val/loss"
    with pytest.raises(ConfigError, match=r"search\.metric=val/acc: the runs have val/loss"):
        search.objective([0.9])


def test_more_evaluations_go_on(runs, make_settings):
    minimise(Search(make_settings, evaluations=2))
    trained = list(runs.trained)
    more = Search(make_settings, evaluations=4)
    minimise(more)
    assert runs.trained[: len(trained)] == trained
    assert len(more.history.tried) == 4
