"""Environment variables in a configuration: paths are allowed, secrets are refused.

The value of an interpolation such as ${oc.env:SCRATCH} is written to config.yaml, and from there to W&B and tables.
"""

import re
from typing import Any

from omegaconf import OmegaConf
from omegaconf.resolvers import oc

from wconv.experiment.common.exceptions import ConfigError

SECRET = re.compile(r"key|token|secret|passw|passphrase|credential|auth|cookie|private", re.IGNORECASE)


def forbid_secret_interpolation() -> None:
    """Make ${oc.env:NAME} refuse variables whose name suggests a secret."""
    OmegaConf.register_new_resolver("oc.env", _environment, replace=True)


def _environment(name: str, *default: Any) -> str | None:
    """Return a variable of the environment, as OmegaConf's own resolver does.

    Raises:
        ConfigError: the variable is a secret.
    """
    if SECRET.search(str(name)):
        raise ConfigError(
            f"${{oc.env:{name}}} would write a secret into config.yaml: leave it in the environment, "
            "where programs look for it"
        )
    return oc.env(name, *default)
