"""The kinds that are machines: this one, and those that are reached over SSH."""

from computes.forms import SshForm
from computes.hosts import Host
from computes.kinds import Kind
from computes.launchers.process import ProcessLauncher
from computes.models import LOCAL, SSH, ComputeTarget


def _as_processes(target: ComputeTarget, host: Host) -> ProcessLauncher:
    return ProcessLauncher(host)


THIS_MACHINE = Kind(
    name=LOCAL,
    label="This machine",
    summary="The machine that the portal runs on.",
    launcher=_as_processes,
    is_machine=True,
    sees_jobs=False,
)
REMOTE_MACHINE = Kind(
    name=SSH,
    label="Remote machine",
    summary="A machine that the team can sign in to over SSH. Nothing has to be"
    " installed there but Python.",
    launcher=_as_processes,
    form=SshForm,
    is_machine=True,
    sees_jobs=False,
)
