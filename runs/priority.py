"""How soon a run is wanted, against the others that wait for the same target."""

from django.db import models


class Priority(models.IntegerChoices):
    LOW = -1, "Low"
    NORMAL = 0, "Normal"
    HIGH = 1, "High"
