"""Docker: runs in containers of the engine of a machine."""

from computes.hosts import Host
from computes.kinds import Kind
from computes.launchers.docker.copying import CopyingDockerLauncher
from computes.launchers.docker.forms import DockerForm, DockerRunForm
from computes.launchers.docker.launcher import DockerLauncher
from computes.launchers.docker.settings import DockerSettings
from computes.models import ComputeTarget


def _launcher(target: ComputeTarget, host: Host) -> DockerLauncher:
    known = DockerSettings.from_json(target.settings, target.reveal_secrets())
    launcher = CopyingDockerLauncher if known.copies else DockerLauncher
    return launcher(host, known)


KIND = Kind(
    name="docker",
    label="Docker",
    summary="The Docker engine of an attached machine: each run has a container of its"
    " own, made from an image.",
    launcher=_launcher,
    form=DockerForm,
    run_form=DockerRunForm,
    icon="box",
    runs_images=True,
)
