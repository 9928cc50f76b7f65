"""What is typed to attach a Slurm cluster, and for a run on one."""

from dataclasses import replace

import pytest

from computes.kinds import kinds
from computes.launchers.slurm.forms import SlurmForm, SlurmRunForm
from computes.launchers.slurm.settings import SlurmSettings
from computes.models import ComputeTarget
from tests import factories

pytestmark = pytest.mark.django_db


def form(**typed: object) -> SlurmForm:
    given = {"name": "cluster", "machine": factories.target().pk, "max_runs": 9}
    return SlurmForm({**given, **typed}, instance=ComputeTarget(kind="slurm"))


def saved(**typed: object) -> ComputeTarget:
    filled = form(**typed)
    assert filled.is_valid(), filled.errors
    return filled.save_target()


def test_what_is_typed_becomes_the_settings() -> None:
    typed = {
        "partition": "gpu,cpu",
        "account": "lab-1",
        "qos": "high",
        "cpus": 4,
        "memory": "16G",
        "gpus": 2,
        "extra": " --constraint=a100 \r\n\r\n--exclusive",
        "mpi": "pmi2",
        "programs": "/opt/slurm/bin",
        "conf": "/etc/slurm.conf",
    }
    target = saved(**typed)
    settings = SlurmSettings.from_json(target.settings)
    assert settings.extra_options == ["--constraint=a100", "--exclusive"]
    assert replace(settings, extra="") == SlurmSettings(
        **{**typed, "extra": ""}  # type: ignore[arg-type]
    )
    again = SlurmForm(instance=ComputeTarget.objects.get(pk=target.pk))
    assert "/opt/slurm/bin" in again.as_div()


def test_nothing_has_to_be_given_but_a_machine() -> None:
    target = saved()
    assert SlurmSettings.from_json(target.settings) == SlurmSettings()
    assert target.its_kind is kinds()["slurm"]


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("partition", "--wrap=rm"),
        ("partition", "a b"),
        ("account", "x\ny"),
        ("qos", "$(id)"),
        ("memory", "16 GB"),
        ("memory", "-1"),
        ("cpus", "0"),
        ("gpus", "none"),
        ("extra", "--output=/tmp/x"),
        ("extra", "rm -rf /"),
        ("extra", "--nice=\0"),
        ("extra", "--comment=ours"),
        ("mpi", "--mpi"),
        ("programs", "bin"),
        ("conf", "../slurm.conf"),
    ],
)
def test_what_can_not_be_is_refused_with_its_field(field: str, text: str) -> None:
    assert list(form(**{field: text}).errors) == [field]


def test_what_is_left_empty_is_as_the_target_has_it() -> None:
    asked = SlurmRunForm({"nodes": "2", "cpus": "", "time": " 1-12 "})
    assert asked.is_valid()
    assert asked.options == {"nodes": 2, "time": "1-12"}


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("nodes", "0"),
        ("tasks_per_node", "many"),
        ("memory", "16X"),
        ("time", "soon"),
        ("time", "0"),
        ("time", "1:2:3:4"),
        ("partition", "-p gpu"),
    ],
)
def test_what_no_run_can_ask_for_is_refused(field: str, text: str) -> None:
    assert list(SlurmRunForm({field: text}).errors) == [field]
