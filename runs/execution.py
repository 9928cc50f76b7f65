"""Brings a run to its target: lay out the snapshot, start the runner, note the handle.

An RQ job carries this out. It may be killed at any line and be run again, also while
an earlier one still works: staging ends in a rename, and the runner starts a job once.
"""

import logging
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone
from rq.timeouts import JobTimeoutException

from aml_portal.errors import PortalError, UserError
from computes.hosts import DamagedSourceError, Host, TargetAwayError
from computes.launchers import ImageLauncher, Launcher, OverdueError, Sight
from computes.launchers.recipes import PackageSources
from computes.services import note_trouble
from computes.targets import host_of, launcher_of
from environments.locks import known_lock
from environments.preparing import Preparation, preparation
from runs import mirror
from runs.dispatch import dispatch, enqueue_clean
from runs.leases import holding, is_held
from runs.mirror_writer import MirrorWriter
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


def start_run(run_pk: int) -> bool:
    """Carry out the submission of a run, from wherever an earlier try left it.

    True if packages have to be resolved or an image has to be brought first, which is
    for `start_run_slowly`: that may take hours, and others are not to wait for it.
    """
    return _carry_out(run_pk, _submit)


def start_run_slowly(run_pk: int) -> None:
    """As `start_run`, and see to its packages and the image that it lacks."""
    _carry_out(run_pk, _submit_slowly)


def _carry_out(run_pk: int, submit: Callable[[Run], bool]) -> bool:
    """What `submit` says; whatever goes wrong with it becomes of the run."""
    with holding(submission_lease(run_pk), SUBMISSION_LEASE) as free:
        # Looked up only now: who held the lease before may have done all there is.
        run = _find(run_pk) if free else None
        if run is None:
            return False
        try:
            return submit(run)
        except (OperationalError, InterfaceError, JobTimeoutException):
            # The database is busy or away, or a slow machine has taken an hour: the
            # reconciler comes back to the run, and goes on from there.
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
        return False


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
    _remove_job(run)
    Run.objects.filter(pk=run.pk).update(cleaned_at=timezone.now())


def _remove_job(run: Run) -> None:
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


@dataclass(frozen=True, kw_only=True)
class _Staged:
    """A job that is laid out on its target.

    `sources` are for who builds its image, `secrets` for the job alone, which gets them
    just before its start.
    """

    run: Run
    host: Host
    launcher: Launcher
    spec: dict[str, Any]
    sources: PackageSources
    secrets: Mapping[str, Any]


def _submit(run: Run) -> bool:
    """Submit a run as far as that takes nothing slow; whether it does."""
    if run.handle is None and _has_to_resolve(run):
        return True
    staged = _lay_out(run)
    if staged is None:
        return False
    if not _finds_image(staged):
        return True
    _start(staged)
    return False


def _has_to_resolve(run: Run) -> bool:
    if run.environment.definition.is_user_managed:
        return False
    return known_lock(run.environment, run.target) is None


def _submit_slowly(run: Run) -> bool:
    staged = _lay_out(run)
    if staged and (_finds_image(staged) or _brings_image(staged)):
        _start(staged)
    return False


def _lay_out(run: Run) -> _Staged | None:
    """Have the job folder made; None if the job is not to be started, or was."""
    if run.handle is not None:
        return None
    host, launcher = host_of(run.target), launcher_of(run.target)
    try:
        prepared = preparation(run.environment, run.target, host, run.run_id)
    except UserError as error:
        if run.status == RunStatus.PREPARING:
            _put_in_log(run, error.said)
        _fail(run, str(error), EndReason.PREPARE_FAILED)
        return None
    Run.objects.filter(pk=run.pk).update(lock=prepared.lock)
    secrets = {"env": reveal_secrets(run), "build": prepared.secrets}
    spec = launcher.spec(job_spec(run, prepared), run.configuration.launch)
    if not _is_staged(run, host, spec):
        return None
    return _Staged(
        run=run,
        host=host,
        launcher=launcher,
        spec=spec,
        # Where packages come from is for the build alone: it may have passwords.
        sources=prepared.sources or PackageSources(),
        secrets=secrets,
    )


def _is_staged(run: Run, host: Host, spec: dict[str, Any]) -> bool:
    """Have the job's files laid out; whether the run is still to be started then."""
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
    return run.status == RunStatus.STARTING


def _finds_image(staged: _Staged) -> bool:
    """Whether all is there that the job runs in."""
    launcher = staged.launcher
    if not isinstance(launcher, ImageLauncher):
        return True
    return launcher.find_image(staged.run.run_id, staged.spec)


def _brings_image(staged: _Staged) -> bool:
    """Have the image brought that the job runs in; False if the job will not begin."""
    run, launcher = staged.run, staged.launcher
    assert isinstance(launcher, ImageLauncher), "Others find that all is there."
    try:
        return launcher.bring_image(
            run.run_id, staged.spec, staged.sources, partial(_is_wanted, run)
        )
    except TargetAwayError:
        raise
    except OverdueError as error:
        _fail(run, str(error), EndReason.MAX_DURATION)
    except PortalError as error:
        _fail(run, str(error), EndReason.PREPARE_FAILED)
    return False


def _is_wanted(run: Run) -> bool:
    """Whether the run is still to begin; any thread may ask."""
    waiting = Run.objects.filter(
        status__in=(RunStatus.STARTING, RunStatus.NOT_RESPONDING),
        cancel_requested_at=None,
    )
    try:
        return waiting.filter(pk=run.pk).exists()
    except (OperationalError, InterfaceError):
        # It can't be told now.
        return True
    finally:
        # Threads come and go, and each has a connection of its own.
        connection.close()


def _start(staged: _Staged) -> None:
    if any(staged.secrets.values()):
        staged.host.give_secrets(staged.run.run_id, staged.secrets)
    handle = staged.launcher.start(staged.run.run_id, staged.spec)
    Run.objects.filter(pk=staged.run.pk).update(handle=handle)


def _stage(run: Run, host: Host, spec: dict[str, Any]) -> Collection[str]:
    """Have the job folder made; the contents that had to travel there."""
    with suppress(DamagedSourceError):
        return host.stage(run.run_id, spec, source_of(run.snapshot))
    # A sweep may have set some of it aside after it had been looked for.
    return host.stage(run.run_id, spec, source_of(run.snapshot))


def _fail(run: Run, sentence: str, why: EndReason = EndReason.SUBMIT_FAILED) -> None:
    """End a run that can't be submitted, unless its job was started after all."""
    if run.end(why, detail=sentence, only_from=(RunStatus.PREPARING,)):
        dispatch(run.target)
        enqueue_clean(run)
        return
    run.refresh_from_db(fields=["status"])
    if run.status not in (RunStatus.STARTING, RunStatus.NOT_RESPONDING):
        return
    # Of a job that is on its target, that has the last word: whether it was started
    # may not be known here. While it can't be asked, the reconciler comes back.
    if run.attempts <= _TRIES_NOTED and why == EndReason.SUBMIT_FAILED:
        run.note(f"The submission is troubled: {sentence}")
    host_of(run.target).prevent(run.run_id, word=str(why), reason=sentence)


def _put_in_log(run: Run, said: str) -> None:
    """What was printed for a run that gets no job which could tell it."""
    if said:
        mirrored = MirrorWriter(mirror.mirror_folder(run.run_id))
        try:
            mirrored.append(mirror.LOG, 0, said.encode(errors="replace"))
        finally:
            mirrored.close()


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
        "spark_conf": run.environment.definition.spark.as_conf(),
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
