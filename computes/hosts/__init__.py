"""Where jobs run, and how the portal reaches them there."""

from computes.hosts.base import (
    DamagedSourceError,
    Host,
    IdleEnvironment,
    LivingJob,
    LivingProcess,
    Place,
    Ran,
    Source,
    Stream,
    StreamClosed,
    TargetAwayError,
)
from computes.hosts.plain import plain

__all__ = [
    "DamagedSourceError",
    "Host",
    "IdleEnvironment",
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
