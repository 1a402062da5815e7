"""Exceptions that end a run early, each with its exit code."""


class RunError(Exception):
    """A run ended without a result; the message is one sentence for the user."""

    exit_code = 1


class Diverged(RunError):
    """The loss is NaN or infinite."""


class ConfigError(RunError):
    """The configuration or the data is wrong; nothing was started."""

    exit_code = 2


class Interrupted(RunError):
    """The run can be resumed with the same command: it was stopped, or another process holds it."""

    exit_code = 75


SEVERITY = (0, Interrupted.exit_code, ConfigError.exit_code, RunError.exit_code)  # in increasing order


def worst_exit_code(exit_codes: list[int]) -> int:
    """Return the exit code of several runs: that of the one that ended worst, 0 if there is none."""
    return max([0, *exit_codes], key=lambda code: SEVERITY.index(code) if code in SEVERITY else len(SEVERITY))
