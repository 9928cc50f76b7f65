"""Where jobs run, and how the portal reaches them there."""

from django.conf import settings

from computes.hosts.base import Host, Stream, StreamClosed
from computes.hosts.local import LocalHost
from computes.models import ComputeTarget

__all__ = ["Host", "Stream", "StreamClosed", "host_of"]


def host_of(target: ComputeTarget) -> Host:
    """The host of a target; targets with equal keys share one, and its stream."""
    match target.kind:
        case ComputeTarget.Kind.LOCAL:
            return LocalHost(settings.JOBS_FOLDER)
    raise ValueError(f"{target.kind} is no kind of compute target")
