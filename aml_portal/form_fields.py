"""Form fields for what all parts of the portal ask for and Django has not."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from aml_portal.durations import format_duration, parse_duration
from aml_portal.errors import UserError


class DurationField(forms.CharField):
    """Seconds, as an integer; None for "none", and for nothing where that may be."""

    def prepare_value(self, value: Any) -> Any:
        return format_duration(value) if isinstance(value, int) else value

    def clean(self, value: Any) -> int | None:
        text = super().clean(value)
        if not text:
            return None
        try:
            return parse_duration(text)
        except UserError as error:
            raise ValidationError(str(error)) from error
