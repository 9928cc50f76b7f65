"""The states of a run, the ways from one to another, and why a run ended.

`Run.move()` is the only writer of a state; it takes its permission from here.
"""

from django.db import models


class RunStatus(models.TextChoices):
    """Azure ML's names, in the order in which a run passes through them."""

    NOT_STARTED = "NotStarted", "Not started"
    QUEUED = "Queued", "Queued"
    PREPARING = "Preparing", "Preparing"
    STARTING = "Starting", "Starting"
    RUNNING = "Running", "Running"
    FINALIZING = "Finalizing", "Finalizing"
    CANCEL_REQUESTED = "CancelRequested", "Cancel requested"
    # "Cannot tell": the target was not heard from; the run may still be working.
    NOT_RESPONDING = "NotResponding", "Not responding"
    COMPLETED = "Completed", "Completed"
    FAILED = "Failed", "Failed"
    CANCELED = "Canceled", "Canceled"


_S = RunStatus

TERMINAL = (_S.COMPLETED, _S.FAILED, _S.CANCELED)
ACTIVE = tuple(status for status in RunStatus if status not in TERMINAL)
# A job may exist on the target, so a monitor follows it.
FOLLOWED = (
    _S.STARTING,
    _S.RUNNING,
    _S.FINALIZING,
    _S.CANCEL_REQUESTED,
    _S.NOT_RESPONDING,
)
# These hold one of the places that a target has.
PLACED = (_S.PREPARING, *FOLLOWED)

TRANSITIONS: dict[RunStatus, tuple[RunStatus, ...]] = {
    _S.NOT_STARTED: (_S.QUEUED, _S.CANCELED),
    _S.QUEUED: (_S.PREPARING, _S.CANCELED, _S.FAILED),
    _S.PREPARING: (_S.STARTING, _S.CANCEL_REQUESTED, _S.FAILED),
    _S.STARTING: (
        _S.RUNNING,
        _S.FINALIZING,
        _S.CANCEL_REQUESTED,
        _S.NOT_RESPONDING,
        *TERMINAL,
    ),
    _S.RUNNING: (_S.FINALIZING, _S.CANCEL_REQUESTED, _S.NOT_RESPONDING, *TERMINAL),
    _S.FINALIZING: (_S.NOT_RESPONDING, *TERMINAL),
    _S.CANCEL_REQUESTED: (_S.NOT_RESPONDING, *TERMINAL),
    _S.NOT_RESPONDING: (
        _S.STARTING,
        _S.RUNNING,
        _S.FINALIZING,
        _S.CANCEL_REQUESTED,
        *TERMINAL,
    ),
    _S.COMPLETED: (),
    _S.FAILED: (),
    _S.CANCELED: (),
}


def sources(to: RunStatus) -> list[RunStatus]:
    """The states from which a run may move to `to`."""
    return [status for status, exits in TRANSITIONS.items() if to in exits]


# Without a job a run can be canceled at once, else its job has to be asked to end.
WITHOUT_JOB = (_S.NOT_STARTED, _S.QUEUED)
CANCELABLE = (*WITHOUT_JOB, *sources(_S.CANCEL_REQUESTED))


class EndReason(models.TextChoices):
    """Why a run ended; the label is the sentence that the run page shows."""

    SUCCEEDED = "succeeded", "The script ended with exit code 0."
    EXIT_CODE = "exit_code", "The script ended with an exit code other than 0."
    SIGNAL = "signal", "The script was ended by a signal."
    CANCELED = "canceled", "The run was canceled."
    MAX_DURATION = "max_duration", "The run reached its maximum duration."
    IDLE = "idle", "The run was idle for too long."
    START_FAILED = "start_failed", "The script could not be started."
    PREPARE_FAILED = "prepare_failed", "The environment could not be made."
    SUBMIT_FAILED = "submit_failed", "The run could not be submitted."
    HOST_SIGNAL = "host_signal", "The system of the compute target ended the run."
    LOST = "lost", "The run disappeared without an exit code."
    GIVEN_UP = "given_up", "The run was given up while its target was away."


END_STATUS: dict[EndReason, RunStatus] = {
    EndReason.SUCCEEDED: _S.COMPLETED,
    EndReason.EXIT_CODE: _S.FAILED,
    EndReason.SIGNAL: _S.FAILED,
    EndReason.CANCELED: _S.CANCELED,
    # Azure ML cancels a run that takes longer than it was given.
    EndReason.MAX_DURATION: _S.CANCELED,
    EndReason.IDLE: _S.CANCELED,
    EndReason.START_FAILED: _S.FAILED,
    EndReason.PREPARE_FAILED: _S.FAILED,
    EndReason.SUBMIT_FAILED: _S.FAILED,
    EndReason.HOST_SIGNAL: _S.FAILED,
    EndReason.LOST: _S.FAILED,
    EndReason.GIVEN_UP: _S.FAILED,
}
