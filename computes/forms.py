"""The forms of compute targets."""

from collections.abc import Mapping
from typing import Any

from django import forms

from computes.models import ComputeTarget
from computes.ssh_settings import SshSettings

_DEFAULTS = SshSettings()
_MOST_PORTS = 65535


class TargetForm(forms.ModelForm):  # type: ignore[type-arg]
    """What every target has, wherever it is."""

    class Meta:
        model = ComputeTarget
        fields = ("max_runs", "description")
        help_texts = {
            "max_runs": "Further runs wait, in the order in which they were submitted."
        }


class SshTargetForm(forms.ModelForm):  # type: ignore[type-arg]
    """A machine that is reached over SSH; its secrets are asked for and never shown."""

    field_order = (
        *("name", "address", "port", "user", "private_key", "passphrase", "password"),
        *("jump", "root", "python", "max_runs", "description"),
    )

    address = forms.CharField(
        max_length=255,
        help_text="A host name or an IP address.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    port = forms.IntegerField(
        label="SSH port", min_value=1, max_value=_MOST_PORTS, initial=_DEFAULTS.port
    )
    user = forms.CharField(
        label="User name",
        max_length=64,
        help_text="Runs belong to this account. It needs no rights but its own.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    private_key = forms.CharField(
        required=False,
        max_length=32_000,
        strip=False,
        help_text="Ed25519, ECDSA or RSA, as ssh-keygen writes it.",
        widget=forms.Textarea(
            attrs={"rows": 4, "autocomplete": "off", "spellcheck": "false"}
        ),
    )
    passphrase = forms.CharField(
        label="Passphrase of the key",
        required=False,
        max_length=1024,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    password = forms.CharField(
        required=False,
        max_length=1024,
        strip=False,
        help_text="Instead of a key.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
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

    class Meta:
        model = ComputeTarget
        fields = ("name", "description", "max_runs", "jump")
        labels = {"jump": "By way of"}
        help_texts = {
            "name": "2 to 16 letters, digits and dashes.",
            "max_runs": "Further runs wait, in the order in which they were submitted.",
            "jump": "An attached machine through which this one is reached.",
        }

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        machines = ComputeTarget.objects.usable().filter(kind=ComputeTarget.Kind.SSH)
        jump = self.fields["jump"]
        assert isinstance(jump, forms.ModelChoiceField)
        jump.queryset = machines.exclude(pk=self.instance.pk)
        jump.empty_label = "No other machine"
        if self.instance.pk:
            self.initial.update(self.instance.ssh.to_json())
            self.fields["name"].disabled = True
            for name in ("private_key", "password"):
                self.fields[name].help_text += " Empty: what is kept stays."

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

    @property
    def how(self) -> SshSettings:
        return SshSettings.from_json(self.cleaned_data)

    @property
    def secrets(self) -> Mapping[str, str]:
        names = ("password", "private_key", "passphrase")
        return {name: self.cleaned_data[name] for name in names}
