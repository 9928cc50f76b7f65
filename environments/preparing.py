"""What a job has to be told so that its machine makes the environment it needs."""

import hashlib
import json
import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings

from computes.hosts import Host, Source
from computes.models import ComputeTarget
from environments import channels
from environments.indexes import Indexes
from environments.locks import lock_of
from environments.models import Environment, Lock
from environments.uv import program

# The version of rattler that the portal itself solves with, and its hashes.
_INSTALLER = Path(__file__).with_name("rattler.txt")


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """`python` will run the script; `spec` is the `prepare` of its job, if it needs one
    (computes/runner/environment.py), and `lock` what that comes from.
    """

    python: str
    spec: dict[str, Any] | None = None
    lock: Lock | None = None


def preparation(
    environment: Environment, target: ComputeTarget, host: Host, job: str
) -> Preparation:
    """How a job on `target` gets the environment.

    Resolves what was not resolved for that machine yet. Raises PortalError.
    """
    if environment.definition.is_user_managed:
        return Preparation(python=environment.interpreter_on(target))
    # A machine that was attached by an older portal may not have told all.
    facts = target.facts if "glibc" in target.facts else host.facts()
    lock = lock_of(environment, facts)
    # Beside the folder of the jobs.
    root = Path(host.place(job).folder).parent.parent
    spec = {
        "key": lock.key,
        "python": lock.python,
        "lock": lock.text,
        "conda": _conda(lock) if lock.conda else None,
        "uv": _bring_uv(host) if facts["machine"] == platform.machine() else None,
        "env": {**Indexes.configured().for_uv(), **Indexes.configured().for_pip()},
        "keep_bytes": settings.ENVIRONMENTS_MAX_BYTES,
    }
    python = root / "environments" / lock.key / "bin/python"
    return Preparation(python=str(python), spec=spec, lock=lock)


def _conda(lock: Lock) -> dict[str, Any]:
    """The packages, and the environment of what installs them."""
    pinned = _INSTALLER.read_text()
    name = hashlib.sha256(f"{pinned}{lock.platform}".encode()).hexdigest()[:16]
    return {
        "records": json.loads(lock.conda),
        "auth": channels.credentials(),
        "installer": {"key": f"rattler-{name}", "python": ">=3.10", "lock": pinned},
    }


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
