"""What a run can choose on targets of some kind, beyond what every run has."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.forms.utils import pretty_name


class RunOptionsForm(forms.Form):
    """The base of the forms that a kind of target adds to the submit page.

    `options` are what the launcher gets: plain JSON, without what was left empty.
    """

    @property
    def options(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {name: data[name] for name in data if data[name] not in (None, "")}

    @classmethod
    def filled(
        cls, options: Mapping[str, Any], settings: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The options, with what the target has for those that were left empty."""
        kept = {name: settings[name] for name in cls.base_fields if settings.get(name)}
        return {**kept, **options}


def in_words(
    fields: Mapping[str, forms.Field], values: Mapping[str, Any]
) -> dict[str, Any]:
    """What was given, by the labels of the fields, as these show it."""
    return {
        str(field.label or pretty_name(name)): (
            "yes" if values[name] is True else field.prepare_value(values[name])
        )
        for name, field in fields.items()
        # A box that is not ticked says nothing, either.
        if values.get(name) not in (None, "", False, {}, [])
    }
