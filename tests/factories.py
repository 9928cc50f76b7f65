"""Makes what tests need in the database of the test process."""

import io
import itertools
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.test import Client

from computes.kinds import kinds
from computes.models import ComputeTarget
from computes.services import save_ssh, save_target
from computes.ssh_settings import SshSettings
from environments.models import Environment
from runs.configuration import ScriptRunConfiguration
from runs.models import Experiment, Run, Snapshot
from runs.services import Submission, keep_snapshot, submit_run
from runs.snapshots import read_upload
from runs.storage import limits, store
from tests.services.docker_engine import DockerEngine
from tests.services.docker_targets import fields_of
from tests.services.machine import Machine
from tests.services.runs import zipped
from tests.services.slurm import Slurm
from tests.services.sshd import Sshd


def person(name: str = "ada") -> User:
    return User.objects.get_or_create(username=name)[0]


def signed_in(user: User) -> Client:
    """What the user's browser would be."""
    client = Client()
    client.force_login(user)
    return client


def target(*, max_runs: int = 2, name: str = "local") -> ComputeTarget:
    return ComputeTarget.objects.update_or_create(
        name=name, defaults={"kind": "local", "max_runs": max_runs}
    )[0]


def machine(
    sshd: Sshd | Machine,
    root: Path | str,
    *,
    name: str = "gpu-box",
    max_runs: int = 2,
    python: str = sys.executable,
    user: str = "",
) -> ComputeTarget:
    """A target over SSH, whose host key is pinned."""
    account = sshd.account()
    how = SshSettings(
        address=account.address,
        port=account.port,
        user=user or account.user,
        root=str(root),
        python=python,
    )
    target = ComputeTarget(name=name, max_runs=max_runs, host_key=sshd.host_key)
    save_ssh(target, how=how, secrets={"private_key": sshd.private_key})
    ComputeTarget.objects.filter(pk=target.pk).update(host_key=sshd.host_key)
    target.refresh_from_db()
    return target


def docker_target(engine: DockerEngine, **fields: object) -> ComputeTarget:
    """A target on the engine of this machine, as its form attaches it."""
    given = {**fields_of(engine), "machine": target().pk, **fields}
    form = kinds()["docker"].form(given, instance=ComputeTarget(kind="docker"))
    assert form.is_valid(), form.errors
    attached: ComputeTarget = form.save_target()
    return attached


def cluster(
    slurm: Slurm,
    *,
    name: str = "cluster",
    machine: ComputeTarget | None = None,
    **more: Any,
) -> ComputeTarget:
    """A Slurm target on this machine or another; `more` are settings of its own."""
    target = ComputeTarget(
        name=name, kind="slurm", machine=machine or _target(), max_runs=50
    )
    return save_target(target, settings={"conf": str(slurm.conf), **more}, secrets={})


def this_python() -> Environment:
    return Environment.objects.get_or_create(name="this-python")[0]


def snapshot(files: Mapping[str, str | bytes]) -> Snapshot:
    intake = read_upload(
        io.BytesIO(zipped(files)), store(), limits(), name="source.zip"
    )
    return keep_snapshot(intake.manifest, "source")


def submission(code: str = "", **changes: Any) -> Submission:
    """A submission of a script; `changes` are fields of it or of its configuration."""
    names = ScriptRunConfiguration.__dataclass_fields__
    configured = {name: changes.pop(name) for name in names & changes.keys()}
    facts = {
        "experiment": "tests",
        "snapshot": changes.get("snapshot") or snapshot({"train.py": code}),
        "configuration": ScriptRunConfiguration(**{"script": "train.py", **configured}),
        "target": changes.get("target") or target(),
        "environment": changes.get("environment") or this_python(),
    }
    return Submission(**{**facts, **changes})


def submit(code: str = "", **changes: Any) -> Run:
    """A run of a script, which waits for its place or has it already."""
    run = submit_run(owner=person(), submission=submission(code, **changes))
    run.refresh_from_db()
    return run


_numbers = itertools.count(1)


def ended_run(
    *,
    experiment: str = "tests",
    owner: User | None = None,
    target: ComputeTarget | None = None,
    **fields: Any,
) -> Run:
    """A row of a run that has ended, or is as `fields` say; nothing ran for it."""
    number = next(_numbers)
    return Run.objects.create(
        run_id=f"{experiment}_{number}_0",
        number=number,
        experiment=Experiment.objects.get_or_create(
            name=experiment, defaults={"owner": person()}
        )[0],
        owner=owner or person(),
        target=target or _target(),
        environment=this_python(),
        snapshot=Snapshot.objects.get_or_create(
            id="0" * 64, defaults={"files": 1, "bytes": 1}
        )[0],
        script="train.py",
        script_run_configuration=ScriptRunConfiguration(script="train.py").to_json(),
        **{"status": "Completed", "duration": 1.0, **fields},
    )


_target = target
