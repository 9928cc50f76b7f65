"""The forms of compute targets."""

from typing import Any, ClassVar

from django import forms

from aml_portal.form_fields import DurationField
from computes.form_fields import LinesField, PasswordField, PlainField
from computes.kinds import kinds
from computes.models import SSH, ComputeTarget, ComputeTargetQuerySet
from computes.services import save_ssh, save_target
from computes.ssh_settings import SshSettings

MAX_RUNS_HELP = "Further runs wait, by priority and in the order of their submission."
TAKES_RUNS_HELP = (
    "Off for a machine that is only there for the targets on it, say a login node."
)

GPU_FIELDS = ("gpu_choice", "gpu_policy")
GPUS_HELP = (
    "Empty: all that nvidia-smi finds. Else the numbers of those that runs may use,"
    " such as “0, 2-3”, or “none”."
)

_DEFAULTS = SshSettings()
_MOST_PORTS = 65535
_FORGET = "forget_secrets"
_SHORTEST_LIMIT = 60


class LimitsForm(forms.ModelForm):  # type: ignore[type-arg]
    """The limits that every target can have; an empty field is none.

    They are no fields of `Meta`, so that no form of a kind has to name them.
    """

    limits: ClassVar[tuple[str, ...]] = ("longest_run", "idle_limit", "give_up_after")

    longest_run = DurationField(
        label="Longest run",
        required=False,
        help_text="Runs are ended after so long, also those that were given longer."
        " Such as “2d”; empty: no limit but that of the run.",
    )
    idle_limit = DurationField(
        label="Idle limit",
        required=False,
        help_text="A run is ended that prints nothing, and uses less than 1 % of a CPU"
        " and no GPU, for so long. Such as “30m”; empty: none is.",
    )
    give_up_after = DurationField(
        label="Give up after",
        required=False,
        help_text="Runs that are not heard from for so long end here as given up, and"
        " there once the target answers. Empty: only a person decides that.",
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name in self.limits:
            self.initial.setdefault(name, getattr(self.instance, name))

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        for name in self.limits:
            seconds = self.cleaned_data.get(name)
            if seconds is not None and seconds < _SHORTEST_LIMIT:
                self.add_error(name, "Give at least a minute, or nothing.")
            setattr(self.instance, name, seconds)
        return cleaned


def _gpu_policy() -> forms.ChoiceField:
    """Whoever leaves it out takes what is there."""
    policy = ComputeTarget._meta.get_field("gpu_policy")
    return forms.ChoiceField(
        label=policy.verbose_name,
        choices=ComputeTarget.GpuPolicy.choices,
        required=False,
    )


class TargetForm(LimitsForm):
    """What can be changed of this machine."""

    gpu_policy = _gpu_policy()

    class Meta:
        model = ComputeTarget
        fields = ("max_runs", "takes_runs", *GPU_FIELDS, "description")
        help_texts = {
            "max_runs": MAX_RUNS_HELP,
            "takes_runs": TAKES_RUNS_HELP,
            "gpu_choice": GPUS_HELP,
        }


class AttachForm(LimitsForm):
    """The base of the forms that attach a target of some kind, or change one.

    Its instance has the kind. The fields that are no fields of the model become the
    target's settings; those in `secret_names` are kept encrypted and never shown.
    """

    secret_names: ClassVar[tuple[str, ...]] = ()
    # What everybody has to look at; the rest is folded away. Empty: all of it.
    foremost: ClassVar[tuple[str, ...]] = ()
    # What its button says, if attaching takes a further step.
    next_step: ClassVar[str] = ""

    class Meta:
        model = ComputeTarget
        fields: tuple[str, ...] = ("name", "description", "max_runs")
        help_texts: ClassVar[dict[str, str]] = {
            "name": "2 to 16 letters, digits and dashes.",
            "max_runs": MAX_RUNS_HELP,
        }

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.instance.pk:
            self.fields["name"].disabled = True
            kept = self.instance.settings
            self.initial.update({name: kept[name] for name in self._own & kept.keys()})
            for name in self.secret_names:
                hint = f"{self.fields[name].help_text} Empty: what is kept stays."
                self.fields[name].help_text = hint.strip()
            if self.secret_names and self.instance.secrets:
                self._offer_to_forget()

    def _offer_to_forget(self) -> None:
        """Empty fields keep what is kept: so it takes one more to have it forgotten."""
        self.fields[_FORGET] = forms.BooleanField(
            label="Forget the secrets that are kept",
            required=False,
            help_text="All of them, but for those that are given anew here.",
        )
        names = [*self.fields]
        last = max(names.index(name) for name in self.secret_names)
        self.order_fields([*names[: last + 1], _FORGET])

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if self.cleaned_data.get(_FORGET):
            self.instance.secrets = None
        return cleaned

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name.lower() == "new":
            raise forms.ValidationError("This name is taken by the portal itself.")
        return name

    def foremost_fields(self) -> list[forms.BoundField]:
        return [field for field in self if self._is_foremost(field)]

    def further_fields(self) -> list[forms.BoundField]:
        return [field for field in self if not self._is_foremost(field)]

    def has_further_errors(self) -> bool:
        return any(field.errors for field in self.further_fields())

    def _is_foremost(self, field: forms.BoundField) -> bool:
        return field.name in self.foremost or not self.foremost

    @property
    def _own(self) -> set[str]:
        """The fields that are settings."""
        others = {*(self._meta.fields or ()), *self.secret_names, *self.limits}
        others.add(_FORGET)
        return {*self.fields} - others

    @property
    def settings(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in self._own}

    @property
    def secrets(self) -> dict[str, str]:
        return {name: self.cleaned_data[name] for name in self.secret_names}

    def save_target(self) -> ComputeTarget:
        """Attach the target, or keep what was changed. Raises PortalError."""
        return save_target(self.instance, settings=self.settings, secrets=self.secrets)


class OnMachineForm(AttachForm):
    """The base for targets that are on a machine which is attached already."""

    field_order: tuple[str, ...] | None = ("name", "machine")

    class Meta(AttachForm.Meta):
        fields = ("name", "machine", "description", "max_runs")
        help_texts = {
            **AttachForm.Meta.help_texts,
            "machine": "This machine, or one that is attached over SSH.",
        }

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        machine = self.fields["machine"]
        assert isinstance(machine, forms.ModelChoiceField)
        machine.required = True
        machine.empty_label = None
        if self.instance.pk:
            # What runs there would be looked for elsewhere, and so be lost.
            machine.disabled = True
            machine.queryset = ComputeTarget.objects.filter(pk=self.instance.machine_id)
        else:
            machine.queryset = machines()
            # Not of the field: the instance says None, which would count for more.
            self.initial["machine"] = machine.queryset.order_by("pk").first()


def machines() -> ComputeTargetQuerySet:
    """Those that targets of other kinds can be on."""
    names = [kind.name for kind in kinds().values() if kind.is_machine]
    return ComputeTarget.objects.reachable().filter(kind__in=names, closed_at=None)


class SshForm(AttachForm):
    """A machine that is reached over SSH."""

    field_order = (
        *("name", "address", "port", "user", "private_key", "passphrase", "password"),
        *("agent", "jump", "root", "python", "max_runs", "takes_runs", *GPU_FIELDS),
        "description",
    )
    secret_names = ("password", "private_key", "passphrase")
    foremost = (
        *("name", "address", "port", "user", "private_key", "passphrase", "password"),
        *("jump", "max_runs"),
    )
    next_step = "Next: look at its host key"

    gpu_policy = _gpu_policy()
    address = PlainField(
        max_length=255,
        help_text="A host name or an IP address.",
    )
    port = forms.IntegerField(
        label="SSH port", min_value=1, max_value=_MOST_PORTS, initial=_DEFAULTS.port
    )
    user = PlainField(
        label="User name",
        max_length=64,
        help_text="Runs belong to this account. It needs no rights but its own.",
    )
    private_key = LinesField(
        rows=4,
        required=False,
        max_length=32_000,
        strip=False,
        help_text="Ed25519, ECDSA or RSA, as ssh-keygen writes it.",
    )
    passphrase = PasswordField(
        label="Passphrase of the key",
        required=False,
        max_length=1024,
    )
    password = PasswordField(
        required=False,
        max_length=1024,
        help_text="Instead of a key.",
    )
    agent = forms.BooleanField(
        label="Keys of the portal's key agent",
        required=False,
        help_text="Those of the ssh-agent that SSH_AUTH_SOCK of the portal names; then"
        " none has to be given here.",
    )
    root = forms.CharField(
        label="Working folder",
        max_length=4096,
        initial=_DEFAULTS.root,
        help_text="On the machine, for runs and the files that they share.",
    )
    python = forms.CharField(
        label="Python",
        max_length=4096,
        initial=_DEFAULTS.python,
        help_text="3.8 or newer: a name, or a path on the machine.",
    )

    class Meta(AttachForm.Meta):
        fields = (
            *("name", "description", "max_runs", "takes_runs", "jump"),
            *GPU_FIELDS,
        )
        labels = {"jump": "By way of"}
        help_texts = {
            **AttachForm.Meta.help_texts,
            "takes_runs": TAKES_RUNS_HELP,
            "gpu_choice": GPUS_HELP,
            "jump": "An attached machine through which this one is reached.",
        }

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        jump = self.fields["jump"]
        assert isinstance(jump, forms.ModelChoiceField)
        jump.queryset = machines().filter(kind=SSH).exclude(pk=self.instance.pk)
        jump.empty_label = "No other machine"

    def clean_jump(self) -> ComputeTarget | None:
        first: ComputeTarget | None = self.cleaned_data["jump"]
        hop = first
        while hop is not None:
            if hop.pk == self.instance.pk:
                raise forms.ValidationError(
                    f"{first} is itself reached through this machine. Pick another one."
                )
            hop = hop.jump
        return first

    def save_target(self) -> ComputeTarget:
        how = SshSettings.from_json(self.settings)
        return save_ssh(self.instance, how=how, secrets=self.secrets)
