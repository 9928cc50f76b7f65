"""Environments: the Python that a script runs with."""

from collections.abc import Mapping
from typing import Any

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Exists, OuterRef
from django.urls import reverse

from computes.models import ComputeTarget
from environments.definition import Definition, Kind

# The label that the newest version has by itself.
LATEST = "latest"


def user_managed() -> dict[str, Any]:
    """The content that a new row has: the Python of the target, as it is."""
    return Definition.user_managed().to_json()


class EnvironmentQuerySet(models.QuerySet["Environment"]):
    def usable(self) -> "EnvironmentQuerySet":
        return self.filter(archived_at=None)

    def newest(self) -> "EnvironmentQuerySet":
        """Of each name the newest version among the usable ones."""
        newer = Environment.objects.usable().filter(
            name=OuterRef("name"), version__gt=OuterRef("version")
        )
        return self.usable().filter(~Exists(newer))

    def offered(self, chosen: str = "") -> "EnvironmentQuerySet":
        """What a person picks from: newest and labelled versions, and the chosen one.

        People's own come first, then the curated ones.
        """
        newest = models.Q(pk__in=self.newest().values("pk"))
        wanted = newest | models.Q(labels__isnull=False)
        if chosen.isdecimal() and len(chosen) < 19:
            wanted |= models.Q(pk=int(chosen))
        found = self.usable().filter(wanted).distinct()
        return found.order_by("is_curated", "name", "-version")


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
    # What is asked for, or what the interpreter said, where one is used as it is.
    python_version = models.CharField(max_length=64, blank=True)
    # It came with the portal: environments/curated.py.
    is_curated = models.BooleanField(default=False, editable=False)
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

    def get_absolute_url(self) -> str:
        return reverse("environments:detail", args=[self.name, self.version])

    @property
    def definition(self) -> Definition:
        return Definition.from_json(self.content)

    @property
    def kind(self) -> Kind:
        return self.definition.kind

    @property
    def interpreter_path(self) -> str:
        return self.definition.python.interpreter_path

    @property
    def environment_variables(self) -> Mapping[str, str]:
        return self.definition.environment_variables

    def interpreter_on(self, target: ComputeTarget) -> str:
        """Of what is user-managed; empty paths mean the Python of the target."""
        return self.interpreter_path or target.python


class EnvironmentLabel(models.Model):
    """A word that one version of an environment has, such as "production"."""

    environment = models.ForeignKey(
        Environment, on_delete=models.CASCADE, related_name="labels"
    )
    # The environment's own: of all versions of a name, one has the label.
    environment_name = models.CharField(max_length=255)
    label = models.CharField(max_length=64)

    class Meta:
        ordering = ["label"]
        constraints = [
            models.UniqueConstraint(
                fields=["environment_name", "label"], name="one_version_per_label"
            )
        ]

    def __str__(self) -> str:
        return self.label
