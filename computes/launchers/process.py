"""Jobs as processes of the host, which the runner starts itself."""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from aml_portal.sizes import spell_size
from computes.hosts import Host, LivingJob
from computes.launchers.base import Leftover, Sight, Spec

_MOST_NAMED = 5


class ProcessLauncher:
    """The runner tells all there is to tell of them."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def spec(self, spec: Spec, options: Mapping[str, Any]) -> Spec:
        if "gpus" not in spec:
            return spec
        # By the numbers that nvidia-smi gives; CUDA's own order is another.
        visible = {
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
            "CUDA_VISIBLE_DEVICES": ",".join(map(str, spec["gpus"])),
        }
        return {**spec, "env": {**spec["env"], **visible}}

    def start(self, job: str, spec: Spec) -> dict[str, Any]:
        return self._host.start(job)

    def look(self, jobs: Collection[str]) -> Mapping[str, Sight]:
        return {}

    def end(self, job: str) -> None:
        """Nothing: a process is ended by the runner, which then says so."""

    def leftovers(self) -> list[Leftover]:
        return [_leftover(each) for each in self._host.living()]

    def checks(self) -> Mapping[str, Callable[[], str]]:
        return {}


def _leftover(living: LivingJob) -> Leftover:
    processes = living.processes
    memory = spell_size(sum(each.memory_bytes for each in processes))
    count = "1 process" if len(processes) == 1 else f"{len(processes)} processes"
    names = ", ".join(f"{each.name} ({each.pid})" for each in processes[:_MOST_NAMED])
    more = ", …" if len(processes) > _MOST_NAMED else ""
    since = min(each.since for each in processes)
    return Leftover(
        job=living.job,
        words=f"{count} with {memory} of memory: {names}{more}",
        since=datetime.fromtimestamp(since, UTC),
        portal=living.portal,
    )
