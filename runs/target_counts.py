"""How many runs compute targets have."""

from django.db.models import Count, Q

from computes.models import ComputeTargetQuerySet
from runs.status import PLACED, RunStatus


def with_run_counts(targets: ComputeTargetQuerySet) -> ComputeTargetQuerySet:
    """The same targets, each with how many runs are `running` and `waiting` there."""
    return targets.annotate(
        running=Count("runs", filter=Q(runs__status__in=PLACED)),
        waiting=Count("runs", filter=Q(runs__status=RunStatus.QUEUED)),
    )
