"""The forms of the submit page and the run page."""

import uuid
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

from aml_portal.durations import format_duration
from aml_portal.errors import UserError
from aml_portal.form_fields import DurationField
from computes.kinds import Kind, kinds
from computes.models import ComputeTarget
from computes.run_options import RunOptionsForm
from environments.models import Environment
from runs.configuration import (
    DEFAULT_GRACE,
    DEFAULT_MAX_DURATION,
    MOST_GPUS,
    ScriptRunConfiguration as Configuration,
)
from runs.form_fields import ArgumentsField, GitField, RowsField
from runs.models import Experiment, Snapshot
from runs.priority import Priority
from runs.services import Submission

_TOO_OLD = "The form is too old. Reload the page and submit again."
_NO_SOURCE = "No source was chosen. Drop a folder, or choose an archive."


@dataclass(frozen=True, kw_only=True)
class TargetOptions:
    """What the submit page asks for where a target of the kind is chosen."""

    kind: Kind
    form: RunOptionsForm


class SubmitForm(forms.Form):
    """A submission as it is typed; `submission` is what it says once it is valid."""

    token = forms.UUIDField(
        widget=forms.HiddenInput,
        initial=uuid.uuid4,
        error_messages={"required": _TOO_OLD, "invalid": _TOO_OLD},
    )
    snapshot = forms.ModelChoiceField(
        Snapshot.objects.all(),
        required=False,
        widget=forms.HiddenInput,
        error_messages={"invalid_choice": "The snapshot is gone. Send it again."},
    )
    # What the page has read of the source's .git.
    git = GitField(required=False)
    # For a browser without JavaScript, which can't send the source beforehand.
    archive = forms.FileField(required=False)
    script = forms.CharField(
        strip=False,
        max_length=4096,
        error_messages={"required": "No script was chosen. Pick one of the files."},
    )
    experiment = forms.CharField(
        max_length=255,
        validators=Experiment._meta.get_field("name").validators,
        error_messages={"required": "The run needs an experiment. Name one."},
    )
    display_name = forms.CharField(required=False, max_length=255)
    arguments = ArgumentsField(required=False)
    environment = forms.ModelChoiceField(
        Environment.objects.usable(),
        empty_label=None,
        error_messages={
            "required": "The run needs an environment. Pick one.",
            "invalid_choice": "This environment is archived or gone. Pick another one.",
        },
    )
    target = forms.ModelChoiceField(
        ComputeTarget.objects.usable(),
        empty_label=None,
        error_messages={
            "required": "The run needs a compute target. Pick one.",
            "invalid_choice": "This compute target is detached or gone. Pick another"
            " one.",
        },
    )
    priority = forms.ChoiceField(
        choices=Priority.choices,
        required=False,
        initial=Priority.NORMAL,
        error_messages={"invalid_choice": "There is no such priority. Pick one."},
    )
    gpus = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=MOST_GPUS,
        initial=0,
        error_messages={"invalid": "The number of GPUs is no number. Write one."},
    )
    variables = RowsField(what="The environment variable")
    secrets = RowsField(what="The variable of a secret")
    tags = RowsField(what="The tag")
    max_duration = DurationField(
        initial=format_duration(DEFAULT_MAX_DURATION),
        error_messages={"required": "Write how long the run may take, or “none”."},
    )
    grace = DurationField(
        initial=format_duration(DEFAULT_GRACE),
        error_messages={"required": "Write how long the script may take to end."},
    )

    def clean_priority(self) -> Priority:
        return Priority(int(self.cleaned_data["priority"] or Priority.NORMAL))

    def clean_arguments(self) -> tuple[str, ...]:
        arguments: tuple[str, ...] = self.cleaned_data["arguments"]
        _check(Configuration(script="-", arguments=arguments))
        return arguments

    def clean_variables(self) -> dict[str, str]:
        variables: dict[str, str] = self.cleaned_data["variables"]
        _check(Configuration(script="-", environment_variables=variables))
        return variables

    def clean_secrets(self) -> dict[str, str]:
        secrets: dict[str, str] = self.cleaned_data["secrets"]
        _check(Configuration(script="-", secrets=secrets))
        return secrets

    def clean_max_duration(self) -> int | None:
        seconds: int | None = self.cleaned_data["max_duration"]
        _check(Configuration(script="-", max_run_duration_seconds=seconds))
        return seconds

    def clean_grace(self) -> int:
        seconds: int | None = self.cleaned_data["grace"]
        if seconds is None:
            raise ValidationError(
                "A canceled script has to end some day: give it at most “1d”."
            )
        _check(Configuration(script="-", grace_seconds=seconds))
        return seconds

    @property
    def options(self) -> "list[TargetOptions]":
        """What a run can choose on targets of each kind, as far as it is typed."""
        asked = [kind for kind in kinds().values() if kind.run_form]
        return [TargetOptions(kind=kind, form=self._options_of(kind)) for kind in asked]

    def _options_of(self, kind: Kind) -> RunOptionsForm:
        assert kind.run_form is not None
        typed = self.data if self.is_bound else None
        initial = self.initial.get("launch") or {}
        return kind.run_form(typed, prefix=kind.name, initial=initial)

    def _clean_options(self, target: ComputeTarget) -> dict[str, Any]:
        kind = target.its_kind
        if kind.run_form is None:
            return {}
        form = self._options_of(kind)
        for name, errors in form.errors.items():
            about = f"{form[name].label}: " if name in form.fields else ""
            self.add_error(None, [f"{about}{error}" for error in errors])
        return form.options

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if target := data.get("target"):
            data["launch"] = self._clean_options(target)
        chosen = data.get("snapshot") or data.get("archive")
        if not chosen and "snapshot" not in self.errors:
            self.add_error("snapshot", _NO_SOURCE)
        return data

    @property
    def configuration(self) -> Configuration:
        """What is valid so far; the preview shows it while the rest is typed."""
        data = self.cleaned_data
        target: ComputeTarget | None = data.get("target")
        framework = target.its_kind.framework if target else "Python"
        return Configuration(
            script=data.get("script", ""),
            arguments=data.get("arguments", ()),
            environment_variables=data.get("variables", {}),
            secrets=data.get("secrets", {}),
            max_run_duration_seconds=data.get("max_duration", DEFAULT_MAX_DURATION),
            grace_seconds=data.get("grace", DEFAULT_GRACE),
            framework=framework,
            gpus=data.get("gpus") or 0,
            launch=data.get("launch", {}),
        )

    def keep_snapshot(self, snapshot: Snapshot) -> None:
        """Have the form name what was uploaded with it, should it be shown again."""
        data = QueryDict(mutable=True)
        data.update(self.data)
        data["snapshot"] = snapshot.pk
        self.data = data

    def submission(self, snapshot: Snapshot) -> Submission:
        data = self.cleaned_data
        return Submission(
            experiment=data["experiment"],
            snapshot=snapshot,
            configuration=self.configuration,
            target=data["target"],
            environment=data["environment"],
            display_name=data["display_name"],
            priority=data["priority"],
            tags=data["tags"],
            token=data["token"],
            git=data["git"],
        )


class RenameForm(forms.Form):
    name = forms.CharField(required=False, max_length=255)


def _check(configuration: Configuration) -> None:
    try:
        configuration.check()
    except UserError as error:
        raise ValidationError(str(error)) from error
