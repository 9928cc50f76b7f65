"""Which values are secrets by the look of their names, and how they are hidden."""

import re
from collections.abc import Mapping
from dataclasses import replace

from runs.configuration import ScriptRunConfiguration

# Read by the browser too: only what Python and JavaScript understand alike.
MASKED_NAMES = (
    r"(?:^|[_.-])(?:pass|passwd|passwords?|passphrase|pwd|secrets?|token|(?:api)?_?keys?"
    r"|credentials?|auth|sas|cookie|dsn)(?:$|[_.-])"
)
HIDDEN = "********"
_MASKED_NAMES = re.compile(MASKED_NAMES, re.IGNORECASE)


def looks_secret(name: str) -> bool:
    return bool(_MASKED_NAMES.search(name))


def mask_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables with the values of secret-looking names hidden."""
    return {
        name: HIDDEN if value and looks_secret(name) else value
        for name, value in variables.items()
    }


def masked(configuration: ScriptRunConfiguration) -> ScriptRunConfiguration:
    """The configuration as it may be shown to everybody."""
    variables = mask_variables(configuration.environment_variables)
    return replace(configuration, environment_variables=variables)
