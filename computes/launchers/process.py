"""Jobs as processes of the host, which the runner starts itself."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from computes.hosts import Host
from computes.launchers.base import Leftover, Sight, Spec


class ProcessLauncher:
    """The runner tells all there is to tell of them."""

    sees = False

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
        return []

    def checks(self) -> Mapping[str, Callable[[], str]]:
        return {}
