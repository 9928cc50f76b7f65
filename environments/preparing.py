"""What a job has to be told so that its machine makes the environment it needs."""

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from django.conf import settings

from computes.hosts import Host, Source
from computes.launchers.recipes import FOLDER, ImageRecipe, PackageSources
from computes.models import ComputeTarget
from environments import channels
from environments.images import (
    RATTLER,
    package_sources,
    passwords_in,
    proxies,
    recipe_of,
)
from environments.indexes import Indexes
from environments.locks import lock_of
from environments.models import Environment, Lock
from environments.uv import UvAnswer, program_for, run_uv_on

# How keys of environments begin that only install others.
INSTALLER = "rattler-"


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """`python` will run the script; `spec` is the `prepare` of its job, if it needs one
    (computes/runner/building.py), `secrets` what that is told besides, and `lock`
    what it comes from. Where it is an image instead, `image` says of what, and
    `sources` where its packages come from.
    """

    python: str
    spec: dict[str, Any] | None = None
    secrets: dict[str, Any] = field(default_factory=dict)
    lock: Lock | None = None
    image: ImageRecipe | None = None
    sources: PackageSources | None = None


def preparation(
    environment: Environment, target: ComputeTarget, host: Host, job: str
) -> Preparation:
    """How a job on `target` gets the environment.

    Resolves what was not resolved for that machine yet. Raises PortalError.
    """
    if target.its_kind.runs_images:
        return _of_image(environment, target, host, job)
    if environment.definition.is_user_managed:
        return Preparation(python=environment.interpreter_on(target))
    facts = _facts(target, host)
    # Beside the folder of the jobs.
    root = Path(host.place(job).folder).parent.parent
    program = program_for(facts["machine"])
    lock = _lock(environment, facts, host, job, program)
    spec = {
        "key": lock.key,
        "python": lock.python,
        "lock": lock.text,
        "conda": _conda(lock) if lock.conda else None,
        "uv": _bring(host, program, is_program=True) if program else None,
        "keep_bytes": settings.ENVIRONMENTS_MAX_BYTES,
    }
    python = root / "environments" / lock.key / "bin/python"
    secrets = _secrets(lock, _indexes(host))
    return Preparation(python=str(python), spec=spec, secrets=secrets, lock=lock)


def _of_image(
    environment: Environment, target: ComputeTarget, host: Host, job: str
) -> Preparation:
    if environment.definition.is_user_managed:
        python = environment.interpreter_on(target)
        image = recipe_of(environment)
        return Preparation(python=python, image=image, sources=proxies())
    facts = _facts(target, host)
    lock = _lock(environment, facts, host, job, program_for(facts["machine"]))
    return Preparation(
        python=f"{FOLDER}/bin/python",
        lock=lock,
        image=recipe_of(environment, lock),
        sources=package_sources(lock, facts["machine"]),
    )


def _lock(
    environment: Environment,
    facts: Mapping[str, Any],
    host: Host,
    job: str,
    program: Path | None,
) -> Lock:
    """Resolved on the host, if packages have to be built to be known."""
    build_on = partial(_resolve_on, host, job, program) if program else None
    return lock_of(environment, facts, build_on=build_on)


def _resolve_on(
    host: Host, job: str, program: Path, *arguments: str, **asked: Any
) -> UvAnswer:
    uv = _bring(host, program, is_program=True)
    env = _indexes(host).for_uv()
    return run_uv_on(host, job, *arguments, uv=uv, env=env, **asked)


def _facts(target: ComputeTarget, host: Host) -> Mapping[str, Any]:
    """What it said of itself; if an older portal has attached it, not all of that."""
    return target.facts if "glibc" in target.facts else host.facts()


def _conda(lock: Lock) -> dict[str, Any]:
    """The packages, and the environment of what installs them."""
    pinned = RATTLER.read_text()
    name = hashlib.sha256(f"{pinned}{lock.platform}".encode()).hexdigest()[:16]
    return {
        "records": json.loads(lock.conda),
        "installer": {"key": f"{INSTALLER}{name}", "python": ">=3.10", "lock": pinned},
    }


def _secrets(lock: Lock, indexes: Indexes) -> dict[str, Any]:
    """What `computes/runner/building.py` reads from its standard input."""
    auth = channels.credentials() if lock.conda else {}
    env = {**indexes.for_uv(), **indexes.for_pip()}
    hidden = sorted(passwords_in(env))
    return {"env": env, "auth": auth, "hidden": hidden} if env or auth else {}


def _indexes(host: Host) -> Indexes:
    """As they are to be reached from there, where no file of the portal is."""
    indexes = Indexes.configured().signed_in()
    bundle = Path(indexes.ca_bundle)
    if not bundle.is_file():
        return indexes
    return replace(indexes, ca_bundle=_bring(host, bundle))


def _bring(host: Host, file: Path, *, is_program: bool = False) -> str:
    """Where a file of the portal's is on the host, which gets it once."""
    sha256, size = _kept(file, file.stat().st_mtime_ns)
    facts = {"sha256": sha256, "size": size, "executable": is_program}
    source = Source(
        entries=[{"path": file.name, **facts}], objects=settings.TOOLS_FOLDER
    )
    return f"{host.lay_out(f'{file.stem}-{sha256[:16]}', source)}/{file.name}"


@cache
def _kept(file: Path, _mtime_ns: int) -> tuple[str, int]:
    """The SHA-256 and the size of a file, which is put where contents are sent from.

    It is read again once it has changed, as certificates do.
    """
    data = file.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    kept = Path(settings.TOOLS_FOLDER, sha256[:2], sha256[2:])
    if not kept.exists():
        kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Threads may do so at once.
        fresh = kept.with_name(f"{kept.name}.{uuid.uuid4().hex}")
        fresh.write_bytes(data)
        fresh.replace(kept)
    return sha256, len(data)
