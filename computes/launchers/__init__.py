"""How a job is started on a host: as a process, in a container, by a scheduler."""

from computes.launchers.base import (
    ImageLauncher,
    Launcher,
    Leftover,
    OverdueError,
    Sight,
)

__all__ = ["ImageLauncher", "Launcher", "Leftover", "OverdueError", "Sight"]
