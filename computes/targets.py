"""From compute targets to the hosts that they are on."""

from django.conf import settings

from computes.hosts import Host
from computes.hosts.local import LocalHost
from computes.models import ComputeTarget


def host_of(target: ComputeTarget) -> Host:
    """The host of a target; targets with equal keys share one, and its stream."""
    match target.kind:
        case ComputeTarget.Kind.LOCAL:
            return LocalHost(settings.JOBS_FOLDER)
    raise ValueError(f"{target.kind} is no kind of compute target")
