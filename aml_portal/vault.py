"""Secrets that the portal has to use by itself, such as passwords of other servers.

The database has them encrypted, and the keys lie elsewhere (aml_portal/vault_keys.py).
In the clear they are in memory alone, where somebody asked for them with `reveal`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from cryptography.fernet import InvalidToken
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import models

from aml_portal.errors import PortalError
from aml_portal.vault_keys import fernet, new_key

# Of everything that Fernet has encrypted, until the year 2106.
_BEGINNING = "gAAAA"


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A text that shows itself nowhere: neither in pages, nor in logs or tracebacks."""

    sealed: str

    @classmethod
    def of(cls, text: str) -> Self:
        return cls(fernet().encrypt(text.encode()).decode("ascii"))

    def reveal(self) -> str:
        """Raises PortalError if the key is not there any more."""
        try:
            return fernet().decrypt(self.sealed).decode()
        except InvalidToken as error:
            raise PortalError(
                "A secret can't be read: the vault key that it was kept with is gone.",
                "Enter it anew, or ask an administrator to put the key back.",
            ) from error

    def resealed(self) -> Self:
        """The same, encrypted with the newest key. Raises InvalidToken."""
        return type(self)(fernet().rotate(self.sealed.encode()).decode("ascii"))

    def __repr__(self) -> str:
        return "Secret(…)"


if TYPE_CHECKING:
    _Field = models.Field[Secret, Secret]
else:
    _Field = models.Field


class SecretField(_Field):
    """A field of a Secret; forms and admin pages do not have it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"editable": False, **options})

    def get_internal_type(self) -> str:
        return "TextField"

    def from_db_value(
        self, value: str | None, expression: object, connection: object
    ) -> Secret | None:
        return None if value is None else Secret(value)

    def to_python(self, value: object) -> Secret | None:
        """Of what dumpdata wrote, which is not in the clear either."""
        if isinstance(value, str) and value.startswith(_BEGINNING):
            return Secret(value)
        if value is None or isinstance(value, Secret):
            return value
        raise ValidationError("This is no kept secret.")

    def value_to_string(self, obj: models.Model) -> str:
        return self.get_prep_value(self.value_from_object(obj)) or ""

    def get_prep_value(self, value: object) -> str | None:
        if value is None:
            return None
        if not isinstance(value, Secret):
            raise TypeError(f"{self.name} takes a Secret, not a {type(value)}.")
        return value.sealed


@dataclass(kw_only=True)
class Rotation:
    """How many secrets have the newest key now, and how many no key opens."""

    resealed: int = 0
    unreadable: int = 0


def rotate_keys() -> Rotation:
    """Encrypt all secrets with a new key. Safe to interrupt, and to do once more."""
    result = Rotation()
    with new_key():
        for model, name in _secret_fields():
            for key, secret in list(_rows(model, name)):
                try:
                    fresh = secret.resealed()
                except InvalidToken:
                    result.unreadable += 1
                    continue
                # Not if it was changed meanwhile: then it is newer.
                same = model._base_manager.filter(pk=key, **{name: secret})
                result.resealed += same.update(**{name: fresh})
    return result


def _secret_fields() -> Iterator[tuple[type[models.Model], str]]:
    for model in apps.get_models(include_auto_created=True):
        for field in model._meta.local_fields:
            if isinstance(field, SecretField):
                yield model, field.name


def _rows(model: type[models.Model], name: str) -> Iterator[tuple[Any, Secret]]:
    rows = model._base_manager.exclude(**{name: None})
    return rows.values_list("pk", name).iterator()
