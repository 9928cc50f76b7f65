"""What a run can choose on targets of some kind, beyond what every run has."""

from typing import Any

from django import forms


class RunOptionsForm(forms.Form):
    """The base of the forms that a kind of target adds to the submit page.

    `options` are what the launcher gets: plain JSON, without what was left empty.
    """

    @property
    def options(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {name: data[name] for name in data if data[name] not in (None, "")}
