"""Undocumented parts of Optuna that are used here; tests/experiment/search/test_study.py states what is assumed.

Optuna can only mark the trial of a killed worker as failed and retry its parameters as a new trial; it cannot resume
the objective. Here the trial itself is resumed, so that a search that was killed has the same trials as one that was
not.
"""

import optuna


def resumed_trial(study: "optuna.Study", trial: "optuna.trial.FrozenTrial") -> "optuna.Trial":
    """Return a running trial, whose worker has ended, for this worker to continue."""
    return optuna.Trial(study, trial._trial_id)


def draw_jointly(trial: "optuna.Trial") -> None:
    """Draw all parameters of a trial jointly now; Optuna would do so only when the first one is requested.

    Otherwise a trial resumed after the first parameter would draw the second from another distribution.
    """
    _ = trial.relative_params
