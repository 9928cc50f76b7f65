"""New keys for the secrets that the portal keeps."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from aml_portal.vault import rotate_keys
from aml_portal.vault_keys import are_given


class Command(BaseCommand):
    help = (
        "Encrypt all kept secrets with a new key; the portal may be running. With"
        " AML_PORTAL_VAULT_KEYS, with the first of those keys."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        done = rotate_keys()
        key = "the first key of AML_PORTAL_VAULT_KEYS" if are_given() else "a new key"
        secrets = "secret is" if done.resealed == 1 else "secrets are"
        self.stdout.write(f"{done.resealed} {secrets} encrypted with {key}.")
        if done.unreadable:
            raise CommandError(
                f"{done.unreadable} can't be read with any key, and were left as they"
                " are: their owners have to enter them anew."
            )
