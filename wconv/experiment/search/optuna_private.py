"""What of Optuna is used beyond its documented interface; tests/experiment/search/test_study.py says what is assumed.

A trial whose worker was killed can be told from outside how it ended, but its objective cannot go on: Optuna's own way
is to fail it and to try its parameters again as another trial. Here it goes on as the trial that it is, so that a
search that was killed has the same trials as one that was not.
"""

import optuna


def resumed_trial(study: "optuna.Study", trial: "optuna.trial.FrozenTrial") -> "optuna.Trial":
    """Return a running trial of a worker that has ended, as it was for that worker."""
    return optuna.Trial(study, trial._trial_id)


def draw_jointly(trial: "optuna.Trial") -> None:
    """Let the sampler draw what belongs together, before any parameter is set; until then it would wait for the first.

    A worker that is killed between two parameters would otherwise draw the second from another distribution.
    """
    _ = trial.relative_params
