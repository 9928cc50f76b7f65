"""Locks: which version of each package an environment comes to on a platform."""

from django.db import IntegrityError, transaction

from environments.definition import DEFAULT_PYTHON
from environments.models import Environment, Lock
from environments.resolving import resolve

_SECONDS = 300.0


def lock_of(environment: Environment, machine: str) -> Lock:
    """The lock for a machine such as "x86_64", resolved if there is none yet.

    Raises UserError with what can't be resolved.
    """
    platform = f"{machine}-manylinux_2_28"
    found = Lock.objects.filter(environment=environment, platform=platform).first()
    if found:
        return found
    definition = environment.definition
    python = definition.python.conda_dependencies.python or DEFAULT_PYTHON
    text = resolve(definition, python=python, platform=platform, seconds=_SECONDS)
    try:
        with transaction.atomic():
            return Lock.objects.create(
                environment=environment, platform=platform, python=python, text=text
            )
    except IntegrityError:
        # Another worker was quicker; what it found counts for all.
        return Lock.objects.get(environment=environment, platform=platform)
