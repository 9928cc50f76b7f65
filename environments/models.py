"""Environments: the Python that a script runs with."""

from django.core.validators import RegexValidator
from django.db import models

from computes.models import ComputeTarget


class EnvironmentQuerySet(models.QuerySet["Environment"]):
    def usable(self) -> "EnvironmentQuerySet":
        return self.filter(archived_at=None)


class Environment(models.Model):
    """A named, versioned environment, never changed once a run has used it.

    So far each is user-managed: the interpreter is used as it is, and the person who
    names it is responsible for its packages.
    """

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
    # Empty: the Python of the target, on the portal's machine that of the portal.
    interpreter_path = models.CharField(max_length=4096, blank=True)
    environment_variables = models.JSONField(default=dict, blank=True)
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

    def interpreter_on(self, target: ComputeTarget) -> str:
        return self.interpreter_path or target.python
