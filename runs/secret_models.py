"""What people keep so that their scripts can have it, and nobody else."""

from django.conf import settings
from django.db import models

from aml_portal.vault import SecretField


class NamedSecret(models.Model):
    """A value that a person's runs refer to by its name, and that no page shows."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="secrets"
    )
    name = models.CharField(max_length=127)
    value = SecretField()
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "name"], name="one_secret_per_name"
            )
        ]

    def __str__(self) -> str:
        return self.name
