"""Form fields for what a submission has and Django has not: arguments, rows, times."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

from runs.git_facts import GitFacts


class _Whole(forms.Widget):
    """Hands the field everything it needs of the form; the template draws it."""

    needs_multipart_form = False


class ArgumentsInput(_Whole):
    """Arguments as a JSON list, which the page keeps, or as a typed command line.

    A form control changes line breaks, so only JSON carries each argument exactly; the
    command line counts where no script of the page has run.
    """

    def value_from_datadict(
        self, data: Mapping[str, Any], files: Mapping[str, Any], name: str
    ) -> dict[str, str]:
        line = data.get("command_line", "").replace("\r\n", "\n")
        return {"json": data.get(name, ""), "line": line}


class ArgumentsField(forms.Field):
    """A tuple of strings. An initial value is one, too."""

    widget = ArgumentsInput

    def clean(self, value: dict[str, str]) -> tuple[str, ...]:
        if value["json"]:
            return _arguments_of_json(value["json"])
        return _arguments_of_line(value["line"])


class GitField(forms.CharField):
    """What the page read of a source's .git, as JSON: GitFacts, whatever is sent."""

    def clean(self, value: str) -> GitFacts:
        try:
            said = json.loads(super().clean(value) or "null")
        except (ValueError, RecursionError, ValidationError):
            said = None
        return GitFacts.offered(said) if isinstance(said, dict) else GitFacts()


def _arguments_of_json(text: str) -> tuple[str, ...]:
    try:
        arguments = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValidationError("The arguments could not be read.") from error
    if not isinstance(arguments, list) or not all(
        isinstance(argument, str) for argument in arguments
    ):
        raise ValidationError("The arguments are not a list of strings.")
    return tuple(arguments)


def _arguments_of_line(line: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(line))
    except ValueError as error:
        raise ValidationError(
            "The command line has a quote or a backslash without its other half. Close"
            " the quote, or write a backslash before it."
        ) from error


class RowsInput(_Whole):
    """Rows of a name and a value, as two controls that are repeated."""

    def value_from_datadict(
        self, data: Mapping[str, Any], files: Mapping[str, Any], name: str
    ) -> list[tuple[str, str]]:
        assert isinstance(data, QueryDict)
        names = data.getlist(f"{name}-name")
        values = data.getlist(f"{name}-value")
        values += [""] * (len(names) - len(values))
        return [
            (row_name.strip(), value.replace("\r\n", "\n"))
            for row_name, value in zip(names, values, strict=False)
        ]


class RowsField(forms.Field):
    """A dictionary of the rows that were filled in. An initial value is one, too."""

    widget = RowsInput

    def __init__(self, *, what: str, **options: Any) -> None:
        super().__init__(required=False, **options)
        self.what = what

    def prepare_value(self, value: Any) -> list[tuple[str, str]]:
        return list(value.items() if isinstance(value, Mapping) else value or [])

    def clean(self, value: list[tuple[str, str]]) -> dict[str, str]:
        rows: dict[str, str] = {}
        for name, content in value:
            if not name and content:
                raise ValidationError(f"{self.what} has a value and no name.")
            if name in rows:
                raise ValidationError(f"{self.what} {name} is given twice.")
            if name:
                rows[name] = content
        return rows
