"""Detaches compute targets; what ran there stays in the history."""

from enum import StrEnum

from django.db import transaction
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


def detach_closed() -> None:
    """Detach the closed targets whose runs have all ended; forget what opens them."""
    closed = ComputeTarget.objects.attached().exclude(closed_at=None)
    idle = closed.exclude(pk__in=Run.objects.active().values("target"))
    idle.update(detached_at=timezone.now())
    # As long as job folders are to be removed there, the secrets are needed.
    in_need = Run.objects.filter(cleaned_at=None).values("target")
    detached = ComputeTarget.objects.exclude(detached_at=None).exclude(pk__in=in_need)
    detached.exclude(secrets=None).update(secrets=None)
