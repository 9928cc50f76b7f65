"""What is asked about a Docker engine, and about a run in one of its containers."""

from typing import Any

from django import forms

from computes.form_fields import LinesField, PasswordField, PlainField, checking
from computes.forms import OnMachineForm
from computes.launchers.docker.settings import (
    DockerSettings,
    ExtraMount,
    check_image,
)
from computes.run_options import RunOptionsForm

_DEFAULTS = DockerSettings()
# The kernel takes no longer one for a socket.
_LONGEST_SOCKET = 107
_IMAGE_HELP = "Such as python:3.12. It has to have Python 3.8 or newer."


class ImageField(PlainField):
    """The name of an image, as docker pull takes it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=255, validators=[checking(check_image)], **options)


class DockerForm(OnMachineForm):
    field_order = (
        *("name", "machine", "socket", "image", "python"),
        *("registry", "registry_user", "registry_password"),
        *("cpus", "memory", "shared_memory", "network", "mounts"),
        *("copies", "max_runs", "description"),
    )
    secret_names = ("registry_password",)
    foremost = ("name", "machine", "image", "memory", "cpus", "max_runs")

    socket = PlainField(
        max_length=_LONGEST_SOCKET,
        initial=_DEFAULTS.socket,
        help_text="Where the engine listens on the machine. Whoever may use it is as"
        " good as root there, so submit to it only what you would let run there.",
    )
    image = ImageField(
        label="Default image", help_text=f"For runs that name none. {_IMAGE_HELP}"
    )
    python = PlainField(
        label="Python",
        max_length=4096,
        initial=_DEFAULTS.python,
        help_text="In the images: a name, or a path.",
    )
    registry = PlainField(
        required=False,
        max_length=255,
        help_text="Whose images need a sign-in, such as registry.example.org:5000;"
        " empty for Docker Hub. No other one is told the password.",
    )
    registry_user = PlainField(
        label="User of the registry",
        required=False,
        max_length=255,
        help_text="Empty: images are brought without a sign-in.",
    )
    registry_password = PasswordField(
        label="Password or token of the registry",
        required=False,
        max_length=8192,
    )
    cpus = forms.FloatField(
        label="CPUs",
        required=False,
        min_value=0.01,
        help_text="For each run. Empty: all.",
    )
    memory = forms.FloatField(
        label="Memory in GiB",
        required=False,
        min_value=0.01,
        help_text="For each run. Empty: all.",
    )
    shared_memory = forms.FloatField(
        label="Shared memory in GiB",
        required=False,
        min_value=0.001,
        initial=1,
        help_text="What data loaders with several workers use.",
    )
    network = PlainField(
        max_length=255,
        initial=_DEFAULTS.network,
        help_text="bridge, host, none, or the name of a network of the engine.",
    )
    mounts = LinesField(
        label="Extra mounts",
        required=False,
        max_length=16_000,
        help_text="Folders of the machine that all runs see: source:target on each"
        " line, or source:target:ro.",
        validators=[checking(ExtraMount.read_all)],
    )

    copies = forms.BooleanField(
        label="Copy files in and out",
        required=False,
        help_text="For an engine that does not see the machine's files, as its socket"
        " leads elsewhere. Outputs then come back when a run ends.",
    )

    def clean_socket(self) -> str:
        socket: str = self.cleaned_data["socket"]
        if not socket.startswith("/"):
            raise forms.ValidationError("Give the absolute path of the socket.")
        return socket


class DockerRunForm(RunOptionsForm):
    image = ImageField(required=False, help_text=f"Empty: the target's. {_IMAGE_HELP}")
