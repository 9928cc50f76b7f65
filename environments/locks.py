"""Locks: which version of each package an environment comes to on a platform."""

import json
from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction

from aml_portal.errors import UserError
from environments import conda
from environments.definition import DEFAULT_PYTHON, Definition
from environments.models import Environment, Lock
from environments.resolving import resolve

_SECONDS = 300.0
# That uv can choose wheels for.
_MACHINES = ("x86_64", "aarch64")


def platform_of(environment: Environment, facts: Mapping[str, Any]) -> str:
    """What locks of the environment distinguish machines by. Raises UserError."""
    if environment.definition.python.conda_dependencies.needs_conda:
        return str(conda.Platform.of(facts))
    return _of_wheels(facts)


def lock_of(environment: Environment, facts: Mapping[str, Any]) -> Lock:
    """The lock for a machine that facts are known of, resolved if there is none yet.

    Raises UserError with what can't be resolved.
    """
    platform = platform_of(environment, facts)
    found = Lock.objects.filter(environment=environment, platform=platform).first()
    if found:
        return found
    definition = environment.definition
    if definition.python.conda_dependencies.needs_conda:
        resolved = _by_conda(definition, facts)
    else:
        resolved = _by_uv(definition, facts)
    try:
        with transaction.atomic():
            return Lock.objects.create(
                environment=environment, platform=platform, **resolved
            )
    except IntegrityError:
        # Another worker was quicker; what it found counts for all.
        return Lock.objects.get(environment=environment, platform=platform)


def _by_uv(definition: Definition, facts: Mapping[str, Any]) -> dict[str, str]:
    python = definition.python.conda_dependencies.python or DEFAULT_PYTHON
    text = resolve(
        definition, python=python, platform=_of_wheels(facts), seconds=_SECONDS
    )
    return {"python": python, "text": text}


def _by_conda(definition: Definition, facts: Mapping[str, Any]) -> dict[str, str]:
    """The packages of conda, and those of pip that come on top of them."""
    records = conda.solve(
        definition.python.conda_dependencies,
        conda.Platform.of(facts),
        seconds=_SECONDS,
    )
    python = conda.versions_of(records)["python"]
    text = resolve(
        definition,
        python=python,
        platform=_of_wheels(facts),
        seconds=_SECONDS,
        installed=conda.python_packages(records),
    )
    return {"python": python, "text": text, "conda": json.dumps(records)}


def _of_wheels(facts: Mapping[str, Any]) -> str:
    if facts["machine"] not in _MACHINES:
        raise UserError(
            f"Packages can't be chosen for {facts['machine']}.",
            "Use a Python of the machine as it is, with the packages that it has.",
        )
    return f"{facts['machine']}-manylinux_2_28"
