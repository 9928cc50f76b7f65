"""What people do with environments: save a definition, label, describe, archive."""

import re

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from aml_portal.errors import UserError
from environments.definition import Definition, Kind
from environments.interpreters import check_interpreter, is_elsewhere
from environments.models import LATEST, Environment, EnvironmentLabel
from environments.rules import check_definition

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
_LONGEST_DESCRIPTION = 255
_MOST_TRIES = 5


def save_environment(
    *, name: str, definition: Definition, description: str = ""
) -> Environment:
    """Save a definition: a new version, unless it is the latest one unchanged.

    Raises UserError.
    """
    check_definition(definition)
    version = _python_version(definition)
    for _ in range(_MOST_TRIES):
        try:
            with transaction.atomic():
                return _saved(name, definition, description, version)
        except IntegrityError:
            # Somebody else has saved that version at the same moment.
            continue
    raise UserError(f"Others save {name} all the time.", "Try again in a moment.")


def _saved(
    name: str, definition: Definition, description: str, python_version: str
) -> Environment:
    check_name(name)
    latest = _latest(name)
    if latest and latest.definition == definition:
        Environment.objects.filter(pk=latest.pk).update(
            description=description, python_version=python_version
        )
        latest.refresh_from_db()
        return latest
    environment = Environment(
        name=name,
        version=latest.version + 1 if latest else 1,
        description=description,
        content=definition.to_json(),
        python_version=python_version,
    )
    try:
        environment.full_clean(validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        raise UserError(" ".join(error.messages)) from error
    environment.save()
    return environment


def check_name(name: str) -> None:
    """Raises UserError if nothing can be saved under a name."""
    latest = _latest(name)
    if latest and latest.archived_at:
        raise UserError(
            f"{name} is archived.",
            "Choose another name, or have an administrator restore it.",
        )


def _latest(name: str) -> Environment | None:
    return Environment.objects.filter(name=name).order_by("-version").first()


def has_changed(name: str, definition: Definition) -> bool:
    """Whether saving the definition under that name would make a new version."""
    latest = _latest(name)
    return latest is None or latest.definition != definition


def _python_version(definition: Definition) -> str:
    """What is asked for, or what an interpreter says, which has to be there; "" for one
    that another machine may have.
    """
    path = definition.python.interpreter_path
    match definition.kind:
        case Kind.USER_MANAGED:
            return "" if is_elsewhere(path) else check_interpreter(path).version
        case Kind.PACKAGES:
            return definition.python.conda_dependencies.python
    return ""


def describe_environment(environment: Environment, description: str) -> None:
    _check_may_change(environment)
    if len(description) > _LONGEST_DESCRIPTION or not description.isprintable():
        raise UserError(
            f"The description has to be one line of at most {_LONGEST_DESCRIPTION}"
            " characters."
        )
    Environment.objects.filter(pk=environment.pk).update(description=description)


def label_environment(environment: Environment, label: str) -> None:
    """Give the version a label; another version of that name loses it."""
    _check_may_change(environment)
    if not _LABEL.fullmatch(label) or label == LATEST:
        raise UserError(
            f"“{label[:80]}” can't be a label.",
            "Use letters, digits, dots, dashes and underscores;"
            f" “{LATEST}” is always the newest version.",
        )
    EnvironmentLabel.objects.update_or_create(
        environment_name=environment.name,
        label=label,
        defaults={"environment": environment},
    )


def remove_label(environment: Environment, label: str) -> None:
    _check_may_change(environment)
    environment.labels.filter(label=label).delete()


def archive_environment(environment: Environment) -> None:
    """Offer no version of that name any longer; runs keep what they have used."""
    _check_may_change(environment)
    versions = Environment.objects.filter(name=environment.name)
    versions.update(archived_at=timezone.now())


def restore_environment(environment: Environment) -> None:
    _check_may_change(environment)
    Environment.objects.filter(name=environment.name).update(archived_at=None)


def _check_may_change(environment: Environment) -> None:
    if environment.is_curated:
        raise UserError(
            f"{environment} is curated, and can't be changed.", "Clone it to change it."
        )
