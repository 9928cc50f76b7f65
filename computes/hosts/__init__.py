"""Where jobs run, and how the portal reaches them there."""

from computes.hosts.answers import plain
from computes.hosts.base import (
    DamagedSourceError,
    Host,
    LivingJob,
    LivingProcess,
    Place,
    Ran,
    Source,
    Stream,
    StreamClosed,
    TargetAwayError,
)

__all__ = [
    "DamagedSourceError",
    "Host",
    "LivingJob",
    "LivingProcess",
    "Place",
    "Ran",
    "Source",
    "Stream",
    "StreamClosed",
    "TargetAwayError",
    "plain",
]
