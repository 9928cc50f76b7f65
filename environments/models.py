"""Environments: the Python that a script runs with."""

from collections.abc import Mapping
from typing import Any

from django.core.validators import RegexValidator
from django.db import models

from computes.models import ComputeTarget
from environments.definition import Definition


def user_managed() -> dict[str, Any]:
    """The content that a new row has: the Python of the target, as it is."""
    return Definition.user_managed().to_json()


class EnvironmentQuerySet(models.QuerySet["Environment"]):
    def usable(self) -> "EnvironmentQuerySet":
        return self.filter(archived_at=None)


class Environment(models.Model):
    """A named, versioned environment, never changed once a run has used it."""

    name = models.CharField(
        max_length=255,
        validators=[
            RegexValidator(
                r"\A(?!(?i:AzureML|Microsoft))[A-Za-z0-9][A-Za-z0-9_.-]*\Z",
                "Use letters, digits, dots, dashes and underscores; names that begin"
                " with AzureML or Microsoft are reserved for curated environments.",
            )
        ],
    )
    version = models.PositiveIntegerField(default=1)
    description = models.CharField(max_length=255, blank=True)
    # As environments/definition.py has it.
    content = models.JSONField(default=user_managed)
    # What the interpreter said of itself, where one is used as it is.
    python_version = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    objects = EnvironmentQuerySet.as_manager()

    class Meta:
        ordering = ["name", "-version"]
        constraints = [
            models.UniqueConstraint(
                fields=["name", "version"], name="one_environment_per_version"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name}:{self.version}"

    @property
    def definition(self) -> Definition:
        return Definition.from_json(self.content)

    @property
    def interpreter_path(self) -> str:
        return self.definition.python.interpreter_path

    @property
    def environment_variables(self) -> Mapping[str, str]:
        return self.definition.environment_variables

    def interpreter_on(self, target: ComputeTarget) -> str:
        """Of what is user-managed; empty paths mean the Python of the target."""
        return self.interpreter_path or target.python
