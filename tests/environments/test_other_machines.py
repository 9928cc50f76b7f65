"""Machines of another kind than the portal's own: what they are sent, what they get."""

import struct
from importlib.metadata import version
from pathlib import Path

import pytest
from django.test import override_settings

from aml_portal.errors import UserError
from computes.models import ComputeTarget
from computes.targets import host_of
from environments.definition import Definition
from environments.models import Environment
from environments.preparing import Preparation, preparation
from environments.services import save_environment
from tests import factories
from tests.environments.wheels import Wheels, fetch_pinned

pytestmark = pytest.mark.django_db
# What an executable file for ARM says that it is.
_ARM = 183


@pytest.fixture
def environment() -> Environment:
    return save_environment(name="tiny", definition=Definition.of_packages("tiny"))


def target_of(machine: str) -> ComputeTarget:
    target = factories.target()
    target.facts = {"machine": machine, "glibc": "2.36"}
    target.save()
    return target


def prepared(environment: Environment, machine: str, folder: Path) -> Preparation:
    """With no index but a folder."""
    target = target_of(machine)
    Wheels(folder).add("tiny", "1.5")
    with override_settings(
        PYTHON_INDEX=f"file://{folder}/none",
        PYTHON_FIND_LINKS=[str(folder)],
        PACKAGES_FOLDER=folder / "packages",
    ):
        return preparation(environment, target, host_of(target), "job")


def test_machines_of_all_kinds_get_the_uv_that_the_portal_resolves_with() -> None:
    (line, *_) = Path("environments/uv.txt").read_text().splitlines()
    assert line == f"uv=={version('uv')} \\"


def test_a_machine_of_another_kind_gets_the_uv_of_its_kind(
    environment: Environment, tmp_path: Path
) -> None:
    kinds = ("manylinux_2_28_aarch64", "manylinux2014_aarch64")
    fetch_pinned("uv", tmp_path, *(f"--platform={each}" for each in kinds))
    found = prepared(environment, "aarch64", tmp_path)
    assert found.lock
    assert found.lock.platform == "aarch64-manylinux_2_28"
    assert found.spec
    program = Path(found.spec["uv"])
    assert program.stat().st_mode & 0o100
    with program.open("rb") as file:
        assert struct.unpack_from("<H", file.read(20), 18)[0] == _ARM


def test_pip_does_it_where_there_is_no_uv_for_a_machine(
    environment: Environment, tmp_path: Path
) -> None:
    found = prepared(environment, "aarch64", tmp_path)
    assert found.spec
    assert found.spec["uv"] is None
    # By the same lock, and from the same place.
    assert "tiny==1.5" in found.spec["lock"]
    assert found.secrets["env"]["PIP_FIND_LINKS"] == str(tmp_path)


def test_a_machine_that_nobody_chooses_wheels_for_is_told(
    environment: Environment, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="Packages can't be chosen for ppc64le"):
        prepared(environment, "ppc64le", tmp_path)
