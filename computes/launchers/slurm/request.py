"""What a run asks Slurm for: the options of sbatch, and srun where it is several."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from computes.hosts import Place
from computes.launchers.slurm.settings import SlurmSettings


@dataclass(frozen=True, kw_only=True)
class Request:
    """Nodes and what is needed on each, from a run's options and the target's."""

    partition: str
    nodes: int
    tasks_per_node: int
    cpus: int
    memory: str
    gpus: int
    time: str

    @classmethod
    def of(
        cls, settings: SlurmSettings, spec: Mapping[str, Any], chosen: Mapping[str, Any]
    ) -> "Request":
        return cls(
            partition=chosen.get("partition") or settings.partition,
            nodes=chosen.get("nodes") or 1,
            tasks_per_node=chosen.get("tasks_per_node") or 1,
            cpus=chosen.get("cpus") or settings.cpus,
            memory=chosen.get("memory") or settings.memory,
            gpus=spec.get("gpu_count") or settings.gpus,
            time=chosen.get("time") or "",
        )

    @property
    def is_many(self) -> bool:
        return self.nodes * self.tasks_per_node > 1

    def options(self, settings: SlurmSettings) -> list[str]:
        """Those of sbatch; an administrator's come first, so that these win."""
        values = {
            "partition": self.partition,
            "account": settings.account,
            "qos": settings.qos,
            "mem": self.memory,
            "gres": f"gpu:{self.gpus}" if self.gpus else "",
        }
        given = [f"--{name}={value}" for name, value in values.items() if value]
        return [*settings.extra_options, *given, *self._shape()]

    def many(self, settings: SlurmSettings, srun: str, place: Place) -> list[str]:
        """The command that starts its argv, which is to follow, as every rank."""
        mpi = [f"--mpi={settings.mpi}"] if settings.mpi else []
        # One rank that fails ends the others, which would wait for it for ever.
        step = [srun, *self._shape(), "--kill-on-bad-exit=1", "--input=none", *mpi]
        rank = [place.python, "-I", "-S", place.runner, "rank", place.folder, "--"]
        return [*step, *rank]

    def _shape(self) -> list[str]:
        cpus = [f"--cpus-per-task={self.cpus}"] if self.cpus else []
        tasks = f"--ntasks-per-node={self.tasks_per_node}"
        return [f"--nodes={self.nodes}", tasks, *cpus]
