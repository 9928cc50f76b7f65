"""Detaches compute targets; what ran there stays in the history."""

from enum import StrEnum

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from aml_portal.errors import UserError
from computes.models import ComputeTarget
from runs.models import Run
from runs.services import cancel_runs


class IfActive(StrEnum):
    """What is to become of the runs that are active on a target."""

    REFUSE = "refuse"
    WAIT = "wait"
    CANCEL = "cancel"


def detach(target: ComputeTarget, *, if_active: IfActive, by: str) -> bool:
    """Detach a target; False if first its runs have to end, which take no new ones.

    Raises UserError if it is in use, and `if_active` says to refuse then.
    """
    now = timezone.now()
    with transaction.atomic():
        # Whoever submits a run meanwhile is told so, or comes before this.
        ComputeTarget.objects.select_for_update().get(pk=target.pk)
        _check_is_needed_by_none(target)
        active = Run.objects.active().filter(target=target)
        count = active.count()
        if count and if_active == IfActive.REFUSE:
            runs = "1 run is" if count == 1 else f"{count} runs are"
            raise UserError(
                f"{runs} active on {target}.",
                "Have the portal wait for their end, or cancel them.",
            )
        rows = ComputeTarget.objects.filter(pk=target.pk)
        rows.update(closed_at=now, detached_at=None if count else now)
    if if_active == IfActive.CANCEL:
        cancel_runs(active, by=by)
    return count == 0


def _check_is_needed_by_none(target: ComputeTarget) -> None:
    through = Q(machine=target) | Q(jump=target)
    others = ComputeTarget.objects.attached().filter(through)
    if names := ", ".join(others.values_list("name", flat=True)):
        raise UserError(
            f"{target} is still needed to reach {names}.", "Detach that first."
        )


def detach_closed() -> None:
    """Detach the closed targets whose runs have all ended; forget what opens them."""
    closed = ComputeTarget.objects.attached().exclude(closed_at=None)
    idle = closed.exclude(pk__in=Run.objects.active().values("target"))
    idle.update(detached_at=timezone.now())
    detached = ComputeTarget.objects.exclude(detached_at=None).exclude(secrets=None)
    if detached.exists():
        detached.exclude(pk__in=_in_need()).update(secrets=None)


def _in_need() -> set[int]:
    """The targets where job folders are to be removed, and all on the way there."""
    found: set[int] = set()
    runs = Run.objects.filter(cleaned_at=None).order_by()
    more = set(runs.values_list("target", flat=True).distinct())
    while more:
        found |= more
        through = ComputeTarget.objects.filter(pk__in=more)
        next_ones = through.values_list("machine", "jump")
        more = {pk for pair in next_ones for pk in pair if pk} - found
    return found
