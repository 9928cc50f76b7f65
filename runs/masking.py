"""How the values of secret-looking names are hidden."""

from collections.abc import Mapping
from dataclasses import replace

from aml_portal.secret_names import secrets_among
from runs.configuration import ScriptRunConfiguration

HIDDEN = "********"


def mask_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables with the values of secret-looking names hidden."""
    return {**variables, **dict.fromkeys(secrets_among(variables), HIDDEN)}


def masked(configuration: ScriptRunConfiguration) -> ScriptRunConfiguration:
    """The configuration as it may be shown to everybody."""
    variables = mask_variables(configuration.environment_variables)
    return replace(configuration, environment_variables=variables)
