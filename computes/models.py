"""Compute targets: the machines and schedulers that runs are submitted to."""

from django.core.validators import MinValueValidator, RegexValidator
from django.db import models


class ComputeTargetQuerySet(models.QuerySet["ComputeTarget"]):
    def attached(self) -> "ComputeTargetQuerySet":
        return self.filter(detached_at=None)


class ComputeTarget(models.Model):
    """Somewhere a job can run; `local` exists from the first start."""

    class Kind(models.TextChoices):
        LOCAL = "local", "This machine"

    # Azure ML's rule for the names of compute targets.
    name = models.CharField(
        max_length=16,
        unique=True,
        validators=[
            RegexValidator(
                r"\A[A-Za-z][A-Za-z0-9-]{1,15}\Z",
                "Use 2 to 16 letters, digits and dashes, beginning with a letter.",
            )
        ],
    )
    kind = models.CharField(max_length=16, choices=Kind)
    description = models.CharField(max_length=255, blank=True)
    max_runs = models.PositiveIntegerField(
        "runs at a time", default=2, validators=[MinValueValidator(1)]
    )
    created_at = models.DateTimeField(auto_now_add=True)
    detached_at = models.DateTimeField(null=True, blank=True)
    # When a monitor last heard from the target; it can't tell more than that.
    last_seen_at = models.DateTimeField(null=True, blank=True)

    objects = ComputeTargetQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
