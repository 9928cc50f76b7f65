"""What a job has to be told so that its machine makes the environment it needs."""

import hashlib
import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings

from computes.hosts import Host, Source
from computes.launchers.recipes import FOLDER, ImageRecipe, PackageSources
from computes.models import ComputeTarget
from environments.images import package_sources, recipe_of
from environments.indexes import Indexes
from environments.locks import lock_of
from environments.models import Environment
from environments.uv import program


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """`python` will run the script; `spec` is the `prepare` of its job, if it needs one
    (computes/runner/environment.py). Where it is an image instead, `image` says of
    what, and `sources` where its packages come from.
    """

    python: str
    spec: dict[str, Any] | None = None
    image: ImageRecipe | None = None
    sources: PackageSources | None = None


def preparation(
    environment: Environment, target: ComputeTarget, host: Host, job: str
) -> Preparation:
    """How a job on `target` gets the environment.

    Resolves what was not resolved for that machine yet. Raises PortalError.
    """
    if target.its_kind.runs_images:
        return _of_image(environment, target, host)
    if environment.definition.is_user_managed:
        return Preparation(python=environment.interpreter_on(target))
    machine = _machine(target, host)
    lock = lock_of(environment, machine)
    # Beside the folder of the jobs.
    root = Path(host.place(job).folder).parent.parent
    spec = {
        "key": lock.key,
        "python": lock.python,
        "lock": lock.text,
        "uv": _bring_uv(host) if machine == platform.machine() else None,
        "env": {**Indexes.configured().for_uv(), **Indexes.configured().for_pip()},
        "keep_bytes": settings.ENVIRONMENTS_MAX_BYTES,
    }
    python = root / "environments" / lock.key / "bin/python"
    return Preparation(python=str(python), spec=spec)


def _of_image(
    environment: Environment, target: ComputeTarget, host: Host
) -> Preparation:
    is_user_managed = environment.definition.is_user_managed
    machine = "" if is_user_managed else _machine(target, host)
    recipe = recipe_of(environment, machine)
    python = f"{FOLDER}/bin/python"
    return Preparation(
        python=environment.interpreter_on(target) if is_user_managed else python,
        image=recipe,
        sources=package_sources(recipe.lock, machine),
    )


def _machine(target: ComputeTarget, host: Host) -> str:
    """Its processor, such as "x86_64"."""
    return str(target.facts.get("machine") or host.facts()["machine"])


def _bring_uv(host: Host) -> str:
    """Where uv is on the host, which gets the portal's own."""
    sha256, size = _uv()
    entry = {"path": "uv", "sha256": sha256, "size": size, "executable": True}
    source = Source(entries=[entry], objects=settings.TOOLS_FOLDER)
    return f"{host.lay_out(f'uv-{sha256[:16]}', source)}/uv"


@cache
def _uv() -> tuple[str, int]:
    """The SHA-256 and the size of uv, which is put where contents are sent from."""
    with program().open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    kept = Path(settings.TOOLS_FOLDER, sha256[:2], sha256[2:])
    if not kept.exists():
        kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = kept.with_name(f"{kept.name}.new")
        fresh.write_bytes(program().read_bytes())
        fresh.replace(kept)
    return sha256, program().stat().st_size
