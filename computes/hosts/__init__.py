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
from computes.runner.masking import LEAST as LEAST_SECRET

__all__ = [
    "LEAST_SECRET",
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
