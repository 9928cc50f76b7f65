"""Brings a run to its target: lay out the snapshot, start the runner, note the handle.

An RQ job carries this out. It may be killed at any line and be run again, also while
an earlier one still works: staging ends in a rename, and the runner starts a job once.
"""

import logging
import uuid
from typing import Any

from django.utils import timezone

from aml_portal.errors import PortalError
from computes.hosts import host_of
from runs.dispatch import dispatch
from runs.leases import holding
from runs.models import Run
from runs.status import TERMINAL, EndReason, RunStatus
from runs.storage import lay_out

_log = logging.getLogger(__name__)

# A submission whose process was killed is taken up again after this many seconds.
SUBMISSION_LEASE = 10.0


def submission_lease(run: Run) -> str:
    return f"submit-{run.pk}"


def start_run(run_pk: int) -> None:
    """Carry out the submission of a run, from wherever an earlier try left it."""
    run = Run.objects.select_related("target", "environment", "experiment").get(
        pk=run_pk
    )
    with holding(submission_lease(run), SUBMISSION_LEASE) as free:
        if not free:
            return
        try:
            _submit(run)
        except PortalError as error:
            _fail(run, str(error))
        except OSError as error:
            _fail(run, f"The portal could not prepare the run: {error}.")
        except Exception:
            mark = uuid.uuid4().hex[:8]
            _log.exception("Submission of %s failed (error %s)", run.run_id, mark)
            _fail(run, f"The portal made an error; its log has it as {mark}.")


def clean_run(run_pk: int) -> None:
    """Remove the job's folder from its target, once all of it is mirrored."""
    run = Run.objects.select_related("target").filter(pk=run_pk).first()
    if run is None or run.status not in TERMINAL or run.cleaned_at:
        return
    host_of(run.target).clean(run.run_id)
    Run.objects.filter(pk=run.pk).update(cleaned_at=timezone.now())


def _submit(run: Run) -> None:
    host = host_of(run.target)
    if run.status == RunStatus.PREPARING:
        host.stage(run.run_id, job_spec(run), lambda work: lay_out(run, work))
        run.move(RunStatus.STARTING, reason="The snapshot is laid out.")
        run.refresh_from_db(fields=["status"])
    # A cancel may have come meanwhile; then the monitor sees to it.
    if run.status == RunStatus.STARTING and run.handle is None:
        handle = host.start(run.run_id)
        Run.objects.filter(pk=run.pk).update(handle=handle)


def _fail(run: Run, sentence: str) -> None:
    """End a run that can't be submitted, unless its job was started after all."""
    if _was_started(run):
        run.note(f"The submission was troubled, yet the script was started: {sentence}")
    elif run.end(
        EndReason.SUBMIT_FAILED,
        detail=sentence,
        only_from=(RunStatus.PREPARING, RunStatus.STARTING),
    ):
        dispatch(run.target)


def _was_started(run: Run) -> bool:
    """Whether the job runs or has run; if not, it is seen to that it never will."""
    host = host_of(run.target)
    try:
        if host.state(run.run_id)["state"] in ("absent", "not_started"):
            host.cancel(run.run_id, grace_seconds=0, reason="The submission failed.")
            return False
    except (PortalError, OSError) as error:
        _log.warning("No word on %s after its submission failed: %s", run.run_id, error)
        return False
    return True


def job_spec(run: Run) -> dict[str, Any]:
    """What the runner reads as `job.json`."""
    configuration = run.configuration
    return {
        "id": run.run_id,
        "argv": [
            run.environment.interpreter,
            configuration.script,
            *configuration.arguments,
        ],
        "cwd": "work",
        "env": {
            **run.environment.environment_variables,
            **configuration.environment_variables,
            **_run_variables(run),
        },
        "grace_seconds": configuration.grace_seconds,
        "max_duration_seconds": configuration.max_run_duration_seconds,
        "collect": ["outputs", "logs"],
    }


def _run_variables(run: Run) -> dict[str, str]:
    """The names under which Azure ML tells a script about its run."""
    return {
        "AZUREML_RUN_ID": run.run_id,
        "AZUREML_ARM_PROJECT_NAME": run.experiment.name,
        "AZUREML_EXPERIMENT_ID": str(run.experiment_id),
    }
