"""How a job is started on a host: as a process, in a container, by a scheduler."""

from computes.launchers.base import Launcher, Leftover, Sight

__all__ = ["Launcher", "Leftover", "Sight"]
