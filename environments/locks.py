"""Locks: which version of each package an environment comes to on a platform."""

import json
from collections import defaultdict
from collections.abc import Mapping
from threading import Lock as Lockable
from typing import Any

from django.db import IntegrityError, transaction

from aml_portal.errors import UserError
from computes.models import ComputeTarget
from environments import conda
from environments.definition import DEFAULT_PYTHON, Definition
from environments.models import Environment, Lock
from environments.programs import ProgramTimeout
from environments.resolving import Uv, resolve

_SECONDS = 300.0
# A job with its lock is read whole; those of the largest environments take a tenth.
_LONGEST = 8_000_000
# Of all that need the same at once, one asks; by the key of the environment.
_resolving: defaultdict[int, Lockable] = defaultdict(Lockable)
# That uv can choose wheels for.
_MACHINES = ("x86_64", "aarch64")


def platform_of(environment: Environment, facts: Mapping[str, Any]) -> str:
    """What locks of the environment distinguish machines by. Raises UserError."""
    if environment.definition.python.conda_dependencies.needs_conda:
        return str(conda.Platform.of(facts))
    return _of_wheels(facts)


def find_lock(environment: Environment, facts: Mapping[str, Any]) -> Lock | None:
    """The lock for such a machine, if there is one. Raises UserError."""
    platform = platform_of(environment, facts)
    locks = sorted(environment.locks.all(), key=lambda lock: lock.pk)
    exact = next((lock for lock in locks if lock.platform == platform), None)
    if exact or not environment.definition.python.conda_dependencies.needs_conda:
        return exact
    here = conda.Platform.of(facts)
    serving = [lock for lock in locks if here.serves(lock.platform)]
    return serving[-1] if serving else None


def known_lock(environment: Environment, target: ComputeTarget) -> Lock | None:
    """As far as the machine is known, and somebody has run it there or on its like."""
    try:
        return find_lock(environment, target.facts)
    except (KeyError, UserError):
        return None


def lock_of(
    environment: Environment, facts: Mapping[str, Any], *, build_on: Uv | None = None
) -> Lock:
    """The lock for a machine that facts are known of, resolved if there is none yet.

    With `build_on`, also of packages that have to be built to be known. Raises
    UserError with what can't be resolved.
    """
    with _resolving[environment.pk]:
        return find_lock(environment, facts) or _resolved(environment, facts, build_on)


def _resolved(
    environment: Environment, facts: Mapping[str, Any], build_on: Uv | None
) -> Lock:
    platform = platform_of(environment, facts)
    resolved = _versions(environment.definition, facts, build_on)
    if sum(map(len, resolved.values())) > _LONGEST:
        raise UserError(
            "The packages come to more than any machine can be told.",
            "Leave out what is not needed, or the index that has so many files.",
        )
    try:
        with transaction.atomic():
            return Lock.objects.create(
                environment=environment, platform=platform, **resolved
            )
    except IntegrityError:
        # Another worker was quicker; what it found counts for all.
        return Lock.objects.get(environment=environment, platform=platform)


def _versions(
    definition: Definition, facts: Mapping[str, Any], build_on: Uv | None
) -> dict[str, str]:
    needs_conda = definition.python.conda_dependencies.needs_conda
    resolve_them = _by_conda if needs_conda else _by_uv
    try:
        return resolve_them(definition, facts, build_on)
    except ProgramTimeout as error:
        raise UserError(
            f"The packages could not be resolved within {_SECONDS:.0f} seconds.",
            "Try again, or name their versions more exactly.",
        ) from error


def _by_uv(
    definition: Definition, facts: Mapping[str, Any], build_on: Uv | None
) -> dict[str, str]:
    python = definition.python.conda_dependencies.python or DEFAULT_PYTHON
    text = resolve(
        definition,
        python=python,
        platform=_of_wheels(facts),
        seconds=_SECONDS,
        build_on=build_on,
    )
    return {"python": python, "text": text}


def _by_conda(
    definition: Definition, facts: Mapping[str, Any], build_on: Uv | None
) -> dict[str, str]:
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
        build_on=build_on,
    )
    return {"python": python, "text": text, "conda": json.dumps(records)}


def _of_wheels(facts: Mapping[str, Any]) -> str:
    if facts["machine"] not in _MACHINES:
        raise UserError(
            f"Packages can't be chosen for {facts['machine']}.",
            "Use a Python of the machine as it is, with the packages that it has.",
        )
    return f"{facts['machine']}-manylinux_2_28"
