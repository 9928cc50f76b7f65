"""Jobs of a Slurm cluster, submitted on this machine or on a login node over SSH."""

from computes.launchers.slurm.kind import KIND

__all__ = ["KIND"]
