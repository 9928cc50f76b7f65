"""The form of a user-managed environment."""

import re

from django import forms

from environments.definition import Definition
from environments.models import Environment

_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)")


class EnvironmentForm(forms.Form):
    """An interpreter that is on the machine already, and variables for its runs."""

    name = forms.CharField(
        max_length=255,
        validators=Environment._meta.get_field("name").validators,
        help_text="A name that exists gets a new version, if anything changed.",
    )
    interpreter_path = forms.CharField(
        label="Interpreter",
        max_length=4096,
        required=False,
        help_text="The path of a Python interpreter on the portal's machine, such as"
        " /opt/conda/envs/train/bin/python. Empty: the portal's own.",
    )
    description = forms.CharField(max_length=255, required=False)
    variables = forms.CharField(
        label="Environment variables",
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
        help_text="One a line, as NAME=value. A run's own win over these.",
    )

    def clean_variables(self) -> dict[str, str]:
        variables = {}
        for number, line in enumerate(self.cleaned_data["variables"].splitlines(), 1):
            if not line.strip():
                continue
            match = _VARIABLE.fullmatch(line.strip())
            if match is None:
                raise forms.ValidationError(
                    f"Line {number} is not NAME=value, where the name has letters,"
                    " digits and underscores and does not begin with a digit."
                )
            variables[match[1]] = match[2]
        return variables

    @property
    def definition(self) -> Definition:
        data = self.cleaned_data
        return Definition.user_managed(data["interpreter_path"], data["variables"])
