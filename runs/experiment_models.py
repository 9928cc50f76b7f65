"""Experiments: what runs belong to."""

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F
from django.urls import reverse


class Experiment(models.Model):
    """A named series of runs; the runs are counted within it."""

    name = models.CharField(
        max_length=255,
        unique=True,
        validators=[
            RegexValidator(
                r"\A[A-Za-z0-9][A-Za-z0-9_-]{0,254}\Z",
                "Use letters, digits, dashes and underscores, beginning with a letter"
                " or a digit.",
            )
        ],
        error_messages={"unique": "There is an experiment of this name: open that."},
    )
    description = models.TextField(blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    last_number = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("runs:experiment", args=[self.name])

    def take_number(self) -> int:
        """The next run's number; needs the transaction of the caller."""
        Experiment.objects.filter(pk=self.pk).update(last_number=F("last_number") + 1)
        self.refresh_from_db(fields=["last_number"])
        return self.last_number
