"""All uses of private interfaces of wandb and wandb-workspaces.

tests/wandb_runs/test_private.py states what is assumed; pyproject.toml has the lowest version that was tested.
"""

from typing import Any


def run_id() -> str:
    """Return a new W&B run id."""
    from wandb.sdk.lib.runid import generate_id

    return generate_id()


def has_key(url: str) -> bool:
    """Tell whether there is a key for a server, without asking the user or the server.

    Raises:
        Exception: the key has the wrong form, in W&B's words.
    """
    from wandb.sdk.lib import wbauth

    session: Any = wbauth.authenticate_session(host=url, source="wconv", prompt=False, update_session=False)
    return session is not None


def core_program() -> str:
    """Return the path of W&B's compiled program, which reads records without the slow start of `wandb`."""
    from wandb.util import get_core_path

    return str(get_core_path())


def as_plain_values(workspace: Any) -> dict[str, Any]:
    """Return a workspace of wandb-workspaces as plain values, as sent to the server."""
    return dict(workspace._to_model().model_dump(by_alias=True, exclude_none=True))
