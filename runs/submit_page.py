"""What the submit page shows: first values, choices, and the preview as code."""

import json
import shlex
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.templatetags.static import static
from django.urls import reverse

from aml_portal.bodies import largest_upload
from aml_portal.durations import format_duration, spell_duration
from aml_portal.errors import UserError
from aml_portal.secret_names import MASKED_NAMES, secrets_among
from aml_portal.sizes import spell_size
from computes.models import ComputeTarget
from environments.builds import outlook
from environments.models import Environment, EnvironmentQuerySet
from runs.access import may_change
from runs.configuration import ScriptRunConfiguration
from runs.exports import as_python, as_runconfig, environment_section
from runs.forms import SubmitForm
from runs.masking import masked
from runs.models import Experiment, NamedSecret, Run, Snapshot
from runs.places import places
from runs.priority import Priority
from runs.requests import PageRequest
from runs.services import Submission
from runs.snapshots import Manifest
from runs.snapshots.ignore import DEFAULTS
from runs.snapshots.warnings import SECRET_TEXTS
from runs.storage import read_manifest
from runs.uploads import likely_scripts, take_example

_MOST_EXPERIMENTS = 500
_EXAMPLE = ScriptRunConfiguration(
    script="train.py", arguments=("--regularization", "0.01")
)
# What the code says where nothing is typed yet.
_SCRIPT, _EXPERIMENT = "train.py", "my-experiment"


def initial_values(request: PageRequest, run: Run | None) -> dict[str, Any]:
    """What the form begins with: a run's settings, or those of the last run."""
    if run is not None:
        values = _values_of(run, without=hidden_variables(request, run))
        return values | {"secrets": _secrets_for(request.user, run)}
    values = _last_choices(request.user)
    values["experiment"] = request.GET.get("experiment", "")
    if request.GET.get("example") == "digits":
        values["snapshot"] = take_example().pk
        values["script"] = _EXAMPLE.script
        values["arguments"] = _EXAMPLE.arguments
        values["experiment"] = values["experiment"] or "digits"
    return values


def example_submission() -> Submission:
    """The example, with the first environment on the first target."""
    target = ComputeTarget.objects.usable().order_by("pk").first()
    environment = Environment.objects.usable().order_by("pk").first()
    if target is None or environment is None:
        raise UserError(
            "The example needs a compute target and an environment.",
            "Attach the one and add the other first.",
        )
    return Submission(
        experiment="digits",
        snapshot=take_example(),
        configuration=_EXAMPLE,
        target=target,
        environment=environment,
    )


def hidden_variables(request: PageRequest, run: Run) -> list[str]:
    """The variables of `run` whose values are kept from whoever is not its owner."""
    if may_change(request.user, run):
        return []
    return secrets_among(run.configuration.environment_variables)


def _secrets_for(user: User, run: Run) -> dict[str, str]:
    """Those of somebody else can't be had; the variables need another's."""
    secrets = run.configuration.secrets
    return dict(secrets) if run.owner_id == user.pk else dict.fromkeys(secrets, "")


def _values_of(run: Run, *, without: list[str]) -> dict[str, Any]:
    configuration = run.configuration
    variables = dict(configuration.environment_variables) | dict.fromkeys(without, "")
    return {
        "snapshot": run.snapshot_id,
        "script": configuration.script,
        "experiment": run.experiment.name,
        "display_name": run.display_name,
        "arguments": configuration.arguments,
        "environment": run.environment_id,
        "target": run.target_id,
        "variables": variables,
        "tags": {tag.name: tag.value for tag in run.tags.all()},
        "launch": configuration.launch,
        "gpus": configuration.gpus,
        "max_duration": format_duration(configuration.max_run_duration_seconds),
        "grace": format_duration(configuration.grace_seconds),
        # That somebody was in a hurry once is no reason to be it again.
        "priority": min(run.priority, Priority.NORMAL),
    }


def _last_choices(user: User) -> dict[str, Any]:
    last = Run.objects.filter(owner=user).order_by("-id").first()
    environment = Environment.objects.usable().order_by("pk").first()
    target = ComputeTarget.objects.usable().order_by("pk").first()
    return {
        "environment": last.environment_id if last else environment and environment.pk,
        "target": last.target_id if last else target and target.pk,
    }


def form_context(form: SubmitForm, user: User) -> dict[str, Any]:
    identity = form["snapshot"].value()
    snapshot = Snapshot.objects.filter(pk=identity).first() if identity else None
    files = _paths(snapshot)
    scripts = likely_scripts(files)
    words, line = _arguments(form)
    targets = places()
    experiments = Experiment.objects.order_by("-id").values_list("name", flat=True)
    return {
        "form": form,
        "snapshot": snapshot,
        "files": files,
        "scripts": scripts,
        # What the page's script would otherwise learn from an upload.
        "known": {"files": files, "scripts": scripts},
        "source_config": source_config(),
        "source_roots": settings.SOURCE_ROOTS,
        "experiments": experiments[:_MOST_EXPERIMENTS],
        "environments": _environments(form),
        "targets": targets,
        "has_gpus": any(place.may_have_gpus for place in targets),
        "priorities": _priorities(user),
        "kept_secrets": NamedSecret.objects.filter(owner=user).values_list(
            "name", flat=True
        ),
        "arguments_json": json.dumps(words),
        "command_line": line,
        "masked_names": MASKED_NAMES,
        "readings": _readings(form),
    }


def _priorities(user: User) -> list[Priority]:
    return [each for each in Priority if user.is_staff or each <= Priority.NORMAL]


def source_config() -> dict[str, Any]:
    """What the page's scripts need to know to read and send a source."""
    return {
        "defaults": DEFAULTS,
        "texts": SECRET_TEXTS,
        "max_files": settings.SNAPSHOT_MAX_FILES,
        "max_bytes": settings.SNAPSHOT_MAX_BYTES,
        "max_upload": largest_upload(),
        "max_size": spell_size(settings.SNAPSHOT_MAX_BYTES),
        "worker": static("js/upload/hash-worker.js"),
        "urls": {
            "upload": reverse("runs:upload"),
            "offer": reverse("runs:offer"),
            "objects": reverse("runs:objects"),
            "preflight": reverse("runs:preflight", args=["0" * 64]),
            "earlier": reverse("runs:take-earlier", args=["0" * 64]),
            "folder": reverse("runs:take-folder"),
            "git": reverse("runs:git-start"),
        },
    }


def preview_context(form: SubmitForm) -> dict[str, Any]:
    """For a form that was cleaned, whatever the outcome."""
    data = form.cleaned_data
    typed = form.configuration
    shown = replace(masked(typed), script=typed.script or _SCRIPT)
    environment: Environment | None = data.get("environment")
    target: ComputeTarget | None = data.get("target")
    priority = data.get("priority", Priority.NORMAL)
    if target:
        shown = replace(shown, launch=target.launch_of(shown.launch))
    return {
        "is_masked": shown.environment_variables != typed.environment_variables,
        "python": as_python(
            shown,
            experiment=data.get("experiment") or _EXPERIMENT,
            target=target.name if target else "local",
            environment=environment.name if environment else "",
            version=environment.version if environment else None,
            tags=data.get("tags", {}),
            display_name=data.get("display_name", ""),
            priority=priority,
        ),
        "runconfig": as_runconfig(
            shown,
            target=target.name if target else "local",
            environment=environment_section(environment, target),
            priority=priority,
        ),
        "outlook": (
            outlook(environment, target, typed.launch)
            if environment and target
            else None
        ),
        "targets": places(priority, typed.gpus),
        "readings": _readings(form),
    }


def _environments(form: SubmitForm) -> EnvironmentQuerySet:
    chosen = str(form["environment"].value() or "")
    return Environment.objects.offered(chosen).prefetch_related("labels")


def _paths(snapshot: Snapshot | None) -> list[str]:
    manifest = read_manifest(snapshot) if snapshot else Manifest(())
    return [entry.path for entry in manifest.files]


def _arguments(form: SubmitForm) -> tuple[list[str], str]:
    """The arguments as far as they can be read, and as the command line shows them."""
    value = form["arguments"].value()
    if not isinstance(value, dict):
        return list(value or ()), shlex.join(value or ())
    try:
        words = list(form.fields["arguments"].clean(value))
    except ValidationError:
        return [], value["line"]
    return words, shlex.join(words)


def _readings(form: SubmitForm) -> dict[str, dict[str, Any]]:
    """How the typed durations are understood, to be said back at once."""
    return {name: _reading(form, name) for name in ("max_duration", "grace")}


def _reading(form: SubmitForm, name: str) -> dict[str, Any]:
    try:
        seconds = form.fields[name].clean(form[name].value())
    except ValidationError as error:
        return {"text": " ".join(error.messages), "is_wrong": True}
    return {"text": spell_duration(seconds), "is_wrong": False}
