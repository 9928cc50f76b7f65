"""Gives up runs of which nobody can tell, and sees to them when somebody can again.

Only a person does so, or a limit that a person has set. The run ends here at once; its
job may still be at work, so it is still followed. Once its target answers, the job is
ended there, the rest of its log is taken, and only then its folder is removed.
"""

from datetime import timedelta

from django.utils import timezone

from aml_portal.durations import spell_duration
from computes.models import ComputeTarget
from runs.dispatch import dispatch, enqueue_clean
from runs.models import Run
from runs.status import EndReason, RunStatus


def give_up_run(run: Run, *, by: str) -> bool:
    """End a run here; False unless its target does not answer."""
    return _give_up(run, f"{by} gave it up while {run.target} did not answer.")


def give_up_if_due(run: Run) -> bool:
    """End a run here if its target has been silent for as long as a person has set."""
    # Looked up anew, since who waits for a target may change its limit.
    limit = ComputeTarget.objects.get(pk=run.target_id).give_up_after
    silences = run.events.filter(status=RunStatus.NOT_RESPONDING).order_by("-id")
    last = silences.first()
    if limit is None or last is None:
        return False
    if timezone.now() - last.time < timedelta(seconds=limit):
        return False
    silence = spell_duration(limit)
    return _give_up(run, f"{run.target} was not heard from for {silence}.")


def _give_up(run: Run, why: str) -> bool:
    given_up = run.end(
        EndReason.GIVEN_UP,
        detail=f"{why} Whether the script still works is not known.",
        only_from=(RunStatus.NOT_RESPONDING,),
        is_left_there=True,
        cancel_requested_at=run.cancel_requested_at or timezone.now(),
    )
    if given_up:
        dispatch(run.target)
    return given_up


def learn_end(run: Run, sentence: str) -> None:
    """Take what became of a run on its target after it had been given up."""
    left = Run.objects.filter(pk=run.pk, is_left_there=True)
    if left.update(is_left_there=False):
        run.note(f"{run.target} answers again, and has ended the run. {sentence}")
        enqueue_clean(run)
