"""Finds what lives on targets of runs that have ended, or that nobody knows any more.

Several portals may share an account: what another one started is none of ours.
"""

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from aml_portal.errors import UserError
from computes.launchers import Leftover
from computes.models import ComputeTarget
from computes.patience import answer_soon
from computes.targets import host_of, launcher_of
from runs.models import Run
from runs.status import TERMINAL

# What ended just now is still being cleared away, and what began just now may be a
# check of the target.
_PATIENCE = timedelta(seconds=60)
_GRACE = 10.0


@dataclass(frozen=True, kw_only=True)
class LeftBehind:
    """Something that lives, and the run that it belongs to, if that is known."""

    leftover: Leftover
    run: Run | None


def left_behind(target: ComputeTarget) -> list[LeftBehind]:
    """What should not be there any more. Raises TargetError."""
    there = answer_soon(target, launcher_of(target).leftovers)
    known = Run.objects.select_related("experiment").filter(
        run_id__in=[each.job for each in there]
    )
    runs = {run.run_id: run for run in known}
    found = [LeftBehind(leftover=each, run=runs.get(each.job)) for each in there]
    return [each for each in found if _is_over(each)]


def end_left_behind(target: ComputeTarget, job: str, *, by: str) -> None:
    """End what is left of a job.

    Raises UserError if it is none of `left_behind`, TargetError if that can't be done.
    """
    if job not in {each.leftover.job for each in left_behind(target)}:
        raise UserError("Nothing of it is left any more.", "Look at the list anew.")
    host, launcher = host_of(target), launcher_of(target)

    def end() -> None:
        reason = f"Ended by {by}: it was left behind."
        host.end_living(job, grace_seconds=_GRACE, reason=reason)
        launcher.end(job)

    answer_soon(target, end)


def _is_over(each: LeftBehind) -> bool:
    latest = timezone.now() - _PATIENCE
    portal = each.leftover.portal
    if portal and portal != settings.PORTAL_ID:
        # Also if it has a run of that name, as a copy of the database would.
        return False
    if each.run is None:
        since = each.leftover.since
        return bool(portal) and (since is None or since < latest)
    ended = each.run.ended_at
    return each.run.status in TERMINAL and (ended is None or ended < latest)
