"""Brings a run to its target: lay out the snapshot, start the runner, note the handle.

An RQ job carries this out. It may be killed at any line and be run again, also while
an earlier one still works: staging ends in a rename, and the runner starts a job once.
"""

import logging
import time
import uuid
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.utils import timezone
from rq.timeouts import JobTimeoutException

from aml_portal.errors import PortalError
from computes.hosts import DamagedSourceError, Host, TargetAwayError
from computes.launchers import Launcher, Sight
from computes.services import note_trouble
from computes.targets import host_of, launcher_of
from environments.preparing import Preparation, preparation
from runs import mirror
from runs.dispatch import dispatch
from runs.leases import holding, is_held
from runs.models import Run
from runs.secrets import reveal_secrets
from runs.sights import look_back
from runs.status import TERMINAL, EndReason, RunStatus
from runs.storage import read_manifest, source_of
from runs.transfers import Transfer

_log = logging.getLogger(__name__)

# A submission whose process was killed is taken up again after this many seconds.
SUBMISSION_LEASE = 10.0
# A submission may be tried for days; the timeline tells of the first tries.
_TRIES_NOTED = 3
# Seconds for what a job was in to end after it, and from one look for that to the next.
_OVER_WITHIN, _BEAT = 3.0, 0.1


def submission_lease(run_pk: int) -> str:
    return f"submit-{run_pk}"


def start_run(run_pk: int) -> None:
    """Carry out the submission of a run, from wherever an earlier try left it."""
    with holding(submission_lease(run_pk), SUBMISSION_LEASE) as free:
        # Looked up only now: who held the lease before may have done all there is.
        run = _find(run_pk) if free else None
        if run is None:
            return
        try:
            _submit(run)
        except (OperationalError, InterfaceError, JobTimeoutException):
            # The database is busy or away, or an image has been on its way for an hour:
            # the reconciler comes back to the run, and goes on from there.
            raise
        except TargetAwayError as error:
            # It may work later, and the reconciler comes back to the run.
            note_trouble(run.target, str(error))
            if run.attempts <= _TRIES_NOTED:
                run.note(f"{error} The submission is tried again.")
        except PortalError as error:
            _fail(run, str(error))
        except OSError as error:
            why = error.strerror or error
            _fail(run, f"The portal could not prepare the run: {why}.")
        except Exception:
            mark = uuid.uuid4().hex[:8]
            _log.exception("Submission of %s failed (error %s)", run.run_id, mark)
            _fail(run, f"The portal made an error; its log has it as {mark}.")


def clean_run(run_pk: int) -> None:
    """Remove the job's folder from its target, once all of it is mirrored.

    A submission may still lay files out while its run is canceled; then this is left
    to the reconciler.
    """
    run = _find(run_pk)
    if run is None or run.status not in TERMINAL or run.cleaned_at:
        return
    if run.is_left_there or is_held(submission_lease(run_pk)):
        return
    mirror.bring_to_disk(run.run_id)
    remove_job(run)
    Run.objects.filter(pk=run.pk).update(cleaned_at=timezone.now())


def remove_job(run: Run) -> None:
    """Remove what a run that has ended left on its target. Raises TargetError."""
    launcher = launcher_of(run.target)
    if sight := _last_sight(launcher, run):
        look_back(run, sight)
    launcher.end(run.run_id)
    host_of(run.target).clean(run.run_id)


def _last_sight(launcher: Launcher, run: Run) -> Sight | None:
    """What is seen of a run that has ended.

    Why it failed is seen once what it was in is over, too: a moment after the runner's
    last word.
    """
    patience = _OVER_WITHIN if run.status == RunStatus.FAILED else 0.0
    deadline = time.monotonic() + patience
    while True:
        sight = launcher.look([run.run_id]).get(run.run_id)
        if sight is None or sight.is_over or time.monotonic() >= deadline:
            return sight
        time.sleep(_BEAT)


def _find(run_pk: int) -> Run | None:
    runs = Run.objects.with_way().select_related("environment", "experiment", "owner")
    return runs.filter(pk=run_pk).first()


def _submit(run: Run) -> None:
    if run.handle is not None:
        return
    host, launcher = host_of(run.target), launcher_of(run.target)
    prepared = preparation(run.environment, run.target, host, run.run_id)
    Run.objects.filter(pk=run.pk).update(lock=prepared.lock)
    secrets = {"env": reveal_secrets(run), "build": prepared.secrets}
    spec = launcher.spec(job_spec(run, prepared), run.configuration.launch)
    if run.status in (RunStatus.PREPARING, RunStatus.STARTING):
        # Also what an earlier try laid out is looked at once more, and mended.
        sent = _stage(run, host, spec)
    if run.status == RunStatus.PREPARING:
        transfer = Transfer.of(read_manifest(run.snapshot), sent)
        run.move(
            RunStatus.STARTING,
            reason=f"Portal to {run.target}: {transfer}. The snapshot is laid out.",
        )
        run.refresh_from_db(fields=["status"])
    # A cancel may have come meanwhile; then the monitor sees to it.
    if run.status == RunStatus.STARTING:
        if any(secrets.values()):
            host.give_secrets(run.run_id, secrets)
        # Where packages come from is for the build alone: it may have passwords.
        handle = launcher.start(run.run_id, {**spec, "sources": prepared.sources})
        Run.objects.filter(pk=run.pk).update(handle=handle)


def _stage(run: Run, host: Host, spec: dict[str, Any]) -> Collection[str]:
    """Have the job folder made; the contents that had to travel there."""
    with suppress(DamagedSourceError):
        return host.stage(run.run_id, spec, source_of(run.snapshot))
    # A sweep may have set some of it aside after it had been looked for.
    return host.stage(run.run_id, spec, source_of(run.snapshot))


def _fail(run: Run, sentence: str) -> None:
    """End a run that can't be submitted, unless its job was started after all."""
    if run.end(
        EndReason.SUBMIT_FAILED, detail=sentence, only_from=(RunStatus.PREPARING,)
    ):
        dispatch(run.target)
        return
    run.refresh_from_db(fields=["status"])
    if run.status == RunStatus.STARTING:
        _prevent_start(run, sentence)


def _prevent_start(run: Run, sentence: str) -> None:
    """See to it that a job of which nobody knows whether it runs never will.

    The target then says so itself, with `sentence`, to who follows the run. While it
    can't be asked, this raises TargetError and the reconciler comes back to the run.
    """
    host = host_of(run.target)
    if run.attempts <= _TRIES_NOTED:
        run.note(f"The submission is troubled: {sentence}")
    if host.state(run.run_id)["state"] in ("absent", "not_started"):
        host.cancel(run.run_id, grace_seconds=0, reason=sentence)


def job_spec(run: Run, prepared: Preparation) -> dict[str, Any]:
    """What the runner reads as `job.json`, but for what the target's launcher adds."""
    configuration = run.configuration
    return {
        "id": run.run_id,
        "prepare": prepared.spec,
        **({"image": asdict(prepared.image)} if prepared.image else {}),
        "portal": settings.PORTAL_ID,
        "argv": [
            prepared.python,
            # With the folder before it, no name is taken for an option.
            f"./{configuration.script}",
            *configuration.arguments,
        ],
        "cwd": "work",
        "env": {
            **run.environment.environment_variables,
            **configuration.environment_variables,
            **_run_variables(run),
        },
        # Only the names: what they are for comes apart from this.
        "secrets": sorted(configuration.secrets),
        "grace_seconds": configuration.grace_seconds,
        "max_duration_seconds": run.target.limited(
            configuration.max_run_duration_seconds
        ),
        "idle_limit_seconds": run.target.idle_limit,
        "collect": ["outputs", "logs"],
        **_gpus(run),
    }


def _gpus(run: Run) -> dict[str, Any]:
    """How many GPUs the run asks for, and where the portal picks them, which it has.

    On a machine with GPUs, a run that asks for none is to see none.
    """
    asked = {"gpu_count": run.gpus}
    picks = run.target.its_kind.picks_gpus and (run.gpus or run.target.gpus)
    return {**asked, "gpus": run.gpu_indexes} if picks else asked


def _run_variables(run: Run) -> dict[str, str]:
    """The names under which Azure ML tells a script about its run."""
    return {
        "AZUREML_RUN_ID": run.run_id,
        "AZUREML_ARM_PROJECT_NAME": run.experiment.name,
        "AZUREML_EXPERIMENT_ID": str(run.experiment_id),
    }
