"""Docker: runs in containers of the engine of a machine."""

from collections.abc import Mapping
from typing import Any

from computes.hosts import Host
from computes.kinds import Kind
from computes.launchers.docker.copying import CopyingDockerLauncher
from computes.launchers.docker.forms import DockerForm, DockerRunForm
from computes.launchers.docker.launcher import DockerLauncher
from computes.launchers.docker.recipes import Image
from computes.launchers.docker.settings import DockerSettings
from computes.launchers.recipes import ImageRecipe
from computes.models import ComputeTarget


def _launcher(target: ComputeTarget, host: Host) -> DockerLauncher:
    known = DockerSettings.from_json(target.settings, target.reveal_secrets())
    launcher = CopyingDockerLauncher if known.copies else DockerLauncher
    return launcher(host, known)


def _image_key(
    target: ComputeTarget, recipe: ImageRecipe, options: Mapping[str, Any]
) -> str:
    default = DockerSettings.from_json(target.settings).image
    return Image.of(recipe, chosen=options.get("image") or "", default=default).key


KIND = Kind(
    name="docker",
    label="Docker",
    summary="The Docker engine of an attached machine: each run has a container of its"
    " own, made from an image.",
    launcher=_launcher,
    form=DockerForm,
    run_form=DockerRunForm,
    icon="box",
    image_key=_image_key,
)
