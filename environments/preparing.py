"""What a job has to be told so that its machine makes the environment it needs."""

import hashlib
import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings

from computes.hosts import Host, Source
from computes.models import ComputeTarget
from environments.indexes import Indexes
from environments.locks import lock_of
from environments.models import Environment
from environments.uv import program


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """`python` will run the script; `spec` is the `prepare` of its job, if it needs one
    (computes/runner/environment.py).
    """

    python: str
    spec: dict[str, Any] | None = None


def preparation(
    environment: Environment, target: ComputeTarget, host: Host, job: str
) -> Preparation:
    """How a job on `target` gets the environment.

    Resolves what was not resolved for that machine yet. Raises PortalError.
    """
    if environment.definition.is_user_managed:
        return Preparation(python=environment.interpreter_on(target))
    machine = str(target.facts.get("machine") or host.facts()["machine"])
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
