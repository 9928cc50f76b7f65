"""What is asked about a Docker engine, and about a run in one of its containers."""

from typing import Any

from django import forms

from aml_portal.errors import UserError
from computes.forms import OnMachineForm
from computes.launchers.docker.settings import (
    DockerSettings,
    ExtraMount,
    check_image,
)
from computes.run_options import RunOptionsForm

_DEFAULTS = DockerSettings()
_PLAIN = {"autocomplete": "off", "spellcheck": "false"}
# The kernel takes no longer one for a socket.
_LONGEST_SOCKET = 107
_IMAGE_HELP = "Such as python:3.12. It has to have Python 3.8 or newer."


class ImageField(forms.CharField):
    """The name of an image, as docker pull takes it."""

    def __init__(self, **options: Any) -> None:
        widget = forms.TextInput(attrs=_PLAIN)
        super().__init__(max_length=255, widget=widget, **options)

    def clean(self, value: Any) -> str:
        image: str = super().clean(value)
        if image:
            try:
                check_image(image)
            except UserError as error:
                raise forms.ValidationError(str(error)) from error
        return image


class DockerForm(OnMachineForm):
    field_order = (
        *("name", "machine", "socket", "image", "python"),
        *("registry", "registry_user", "registry_password"),
        *("cpus", "memory", "shared_memory", "network", "mounts"),
        *("copies", "max_runs", "description"),
    )
    secret_names = ("registry_password",)
    foremost = ("name", "machine", "image", "memory", "cpus", "max_runs")

    socket = forms.CharField(
        max_length=_LONGEST_SOCKET,
        initial=_DEFAULTS.socket,
        help_text="Where the engine listens on the machine. Whoever may use it is as"
        " good as root there, so submit to it only what you would let run there.",
        widget=forms.TextInput(attrs=_PLAIN),
    )
    image = ImageField(
        label="Default image", help_text=f"For runs that name none. {_IMAGE_HELP}"
    )
    python = forms.CharField(
        label="Python",
        max_length=4096,
        initial=_DEFAULTS.python,
        help_text="In the images: a name, or a path.",
        widget=forms.TextInput(attrs=_PLAIN),
    )
    registry = forms.CharField(
        required=False,
        max_length=255,
        help_text="Whose images need a sign-in, such as registry.example.org:5000;"
        " empty for Docker Hub. No other one is told the password.",
        widget=forms.TextInput(attrs=_PLAIN),
    )
    registry_user = forms.CharField(
        label="User of the registry",
        required=False,
        max_length=255,
        help_text="Empty: images are brought without a sign-in.",
        widget=forms.TextInput(attrs=_PLAIN),
    )
    registry_password = forms.CharField(
        label="Password or token of the registry",
        required=False,
        max_length=8192,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
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
    network = forms.CharField(
        max_length=255,
        initial=_DEFAULTS.network,
        help_text="bridge, host, none, or the name of a network of the engine.",
        widget=forms.TextInput(attrs=_PLAIN),
    )
    mounts = forms.CharField(
        label="Extra mounts",
        required=False,
        max_length=16_000,
        help_text="Folders of the machine that all runs see: source:target on each"
        " line, or source:target:ro.",
        widget=forms.Textarea(attrs={"rows": 3, **_PLAIN}),
    )

    copies = forms.BooleanField(
        label="Copy files in and out",
        required=False,
        help_text="For an engine that does not see the machine's files, as its socket"
        " leads elsewhere. Outputs then come back when a run ends.",
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.instance.pk:
            self.fields["registry_password"].help_text = "Empty: what is kept stays."

    def clean_socket(self) -> str:
        socket: str = self.cleaned_data["socket"]
        if not socket.startswith("/"):
            raise forms.ValidationError("Give the absolute path of the socket.")
        return socket

    def clean_mounts(self) -> str:
        mounts: str = self.cleaned_data["mounts"]
        try:
            ExtraMount.read_all(mounts)
        except UserError as error:
            raise forms.ValidationError(str(error)) from error
        return mounts


class DockerRunForm(RunOptionsForm):
    image = ImageField(required=False, help_text=f"Empty: the target's. {_IMAGE_HELP}")
