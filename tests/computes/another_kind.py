"""A kind of compute target as somebody else would add it: one module, one form.

Its jobs wait for a gate file on the machine, and run with a variable of their own.
"""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from django import forms

from aml_portal.errors import TargetError, UserError
from computes.forms import OnMachineForm
from computes.hosts import Host
from computes.kinds import Kind
from computes.launchers import Sight
from computes.launchers.base import Spec
from computes.launchers.process import ProcessLauncher
from computes.models import ComputeTarget
from computes.run_options import RunOptionsForm


class GateForm(OnMachineForm):
    secret_names = ("word",)

    gate = forms.CharField(label="Gate file")
    word = forms.CharField(required=False, widget=forms.PasswordInput)


class GateOptions(RunOptionsForm):
    colour = forms.CharField(required=False, max_length=5)


class GateLauncher(ProcessLauncher):
    def __init__(self, host: Host, gate: str) -> None:
        super().__init__(host)
        self._gate = Path(gate)

    def spec(self, spec: Spec, options: Mapping[str, Any]) -> Spec:
        if options.get("colour") == "grey":
            raise UserError("Grey is no colour.", "Take another one.")
        env = {**spec["env"], "GATE_COLOUR": options.get("colour", "none")}
        return {**spec, "env": env}

    def start(self, job: str, spec: Spec) -> dict[str, Any]:
        return super().start(job, spec) if self._gate.exists() else {"gate": "closed"}

    def look(self, jobs: Collection[str]) -> Mapping[str, Sight]:
        if not self._gate.parent.exists():
            return dict.fromkeys(jobs, Sight(words="The gate is gone.", is_over=True))
        hint = Sight(words="It waits at the gate.", hint="Somebody shut the gate.")
        return {} if self._gate.exists() else dict.fromkeys(jobs, hint)

    def checks(self) -> Mapping[str, Callable[[], str]]:
        return {"Gate": self._check}

    def _check(self) -> str:
        if not self._gate.exists():
            raise TargetError("The gate is shut.", "Open it.")
        return "The gate is open."


def _launcher(target: ComputeTarget, host: Host) -> GateLauncher:
    return GateLauncher(host, target.settings["gate"])


KIND = Kind(
    name="gate",
    label="Gate",
    summary="A machine with a gate before it.",
    launcher=_launcher,
    form=GateForm,
    run_form=GateOptions,
)
