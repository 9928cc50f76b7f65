"""Who does a piece of work that only one process at a time may do."""

from django.db import models


class Lease(models.Model):
    """Lets one process at a time do a piece of work, and another take over.

    A holder that dies simply stops renewing; no clean-up is needed.
    """

    name = models.CharField(primary_key=True, max_length=100)
    owner = models.CharField(max_length=100)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.owner})"
