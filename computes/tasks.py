"""The RQ jobs of compute targets; the work itself is in computes/services.py."""

from computes import services
from computes.models import ComputeTarget


def check_target(key: int) -> None:
    target = ComputeTarget.objects.attached().with_way().filter(pk=key).first()
    if target is not None:
        services.check_target(target)
