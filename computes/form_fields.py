"""Fields for what the forms of several kinds of targets ask."""

from collections.abc import Callable
from typing import Any

from django import forms

from aml_portal.errors import UserError

# No browser is to correct or to remember them.
_AS_TYPED = {"autocomplete": "off", "spellcheck": "false"}


class PlainField(forms.CharField):
    """A name, a path or an address."""

    widget = forms.TextInput(attrs=_AS_TYPED)


class LinesField(forms.CharField):
    """Several of them, one a line."""

    def __init__(self, *, rows: int = 3, **options: Any) -> None:
        widget = forms.Textarea(attrs={"rows": rows, **_AS_TYPED})
        super().__init__(widget=widget, **options)


class PasswordField(forms.CharField):
    """A password; what was kept is never shown in it."""

    def __init__(self, **options: Any) -> None:
        widget = forms.PasswordInput(attrs={"autocomplete": "new-password"})
        super().__init__(strip=False, widget=widget, **options)


def checking(check: Callable[[str], object]) -> Callable[[str], None]:
    """A validator that says what `check` does, where that raises UserError."""

    def validate(text: str) -> None:
        try:
            check(text)
        except UserError as error:
            raise forms.ValidationError(str(error)) from error

    return validate
