"""Check quickly whether W&B can be reached, because a compute node may have no network."""

import os

from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.common.timeout import with_timeout
from wconv.experiment.reports.wandb.private import has_key

PATIENCE = 5.0  # seconds for DNS look-up, connection and answer together
MODES = ("online", "offline", "disabled")
OLD_WORDS = {"dryrun": "offline", "run": "online"}


def resolve_mode(configured: str) -> str:
    """Return "online", "offline" or "disabled": WANDB_MODE if it is set, else what is configured.

    W&B also reads the variable and fails on unknown values, so it is set to the mode that was recognised here.

    Raises:
        ConfigError: WANDB_MODE has another value.
    """
    words = os.environ.get("WANDB_MODE", "")
    chosen = words.strip().lower()
    if not chosen:
        os.environ.pop("WANDB_MODE", None)
        return configured
    chosen = OLD_WORDS.get(chosen, chosen)
    if chosen not in MODES:
        raise ConfigError(f"WANDB_MODE={words}: expected {', '.join(MODES[:-1])} or {MODES[-1]}; set one, or unset it")
    os.environ["WANDB_MODE"] = chosen
    return chosen


def unreachable_reason() -> str:
    """Return why uploading is impossible from here; empty if it is possible."""
    import wandb

    url = wandb.setup(wandb.Settings(silent=True)).settings.base_url
    try:
        if not has_key(url):
            return "there is no key (WANDB_API_KEY, or wandb login)"
    except Exception as error:  # W&B's message about a malformed key, which does not contain the key
        return f"the key cannot be used ({error})"
    return "" if _answers(url) else f"{url} does not answer"


def _answers(url: str) -> bool:
    """Tell whether the server answers at all; the timeout in a thread also covers the DNS look-up."""
    import requests

    try:
        with_timeout(lambda: requests.head(url, timeout=PATIENCE, allow_redirects=False), PATIENCE)
    except (requests.RequestException, TimeoutError):
        return False
    return True
