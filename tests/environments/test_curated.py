"""The environments that come with the portal."""

import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from aml_portal.errors import UserError
from environments import curated
from environments.curated import PREFIX, load_curated, shipped
from environments.definition import Definition
from environments.models import Environment
from environments.rules import check_definition
from environments.services import (
    archive_environment,
    describe_environment,
    label_environment,
    save_environment,
)
from tests.environments.wheels import Wheels
from tests.services.package_index import serve_index

# Whoever changes a definition counts its version up, and puts both here.
_KNOWN = {
    "AzureML-Minimal": (1, "2d0ad50375a9"),
    "AzureML-PySpark": (1, "ef2c103978f3"),
    "AzureML-PyTorch-CPU": (1, "4f29bdd5f272"),
    "AzureML-PyTorch-GPU": (1, "4f29bdd5f272"),
    "AzureML-Scikit-learn": (1, "bd9c12c2e260"),
    "AzureML-TensorFlow-CPU": (1, "4b580024c022"),
    "AzureML-TensorFlow-GPU": (1, "1ca40402bb11"),
    "AzureML-XGBoost": (1, "eb2c65931e33"),
}
_FILE = """name: AzureML-Own
version: {version}
description: Made by a test
python: {{condaDependencies: {{dependencies: [python=3.11, {{pip: [{package}]}}]}}}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(curated, "FOLDER", tmp_path)
    return tmp_path


def fingerprint(definition: Definition) -> str:
    """Of all that has to be installed."""
    bare = replace(definition, environment_variables={}).to_json()
    whole = json.dumps(bare, sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()[:12]


def test_those_that_the_portal_promises_are_there() -> None:
    found = {}
    for each in shipped():
        check_definition(each.definition)
        assert each.description
        assert each.name.startswith(PREFIX)
        found[each.name] = (each.version, fingerprint(each.definition))
    assert found == _KNOWN


@pytest.mark.django_db
def test_they_are_rows_from_the_first_start_on() -> None:
    load_curated()
    load_curated()
    rows = Environment.objects.filter(is_curated=True)
    assert {row.name for row in rows} == {*_KNOWN}
    sklearn = rows.get(name="AzureML-Scikit-learn")
    assert sklearn.python_version == "3.11"
    assert sklearn.kind == "packages"


@pytest.mark.django_db
def test_a_new_version_leaves_the_one_before(folder: Path) -> None:
    for version, package in ((1, "numpy"), (2, "numpy>=2"), (2, "changed")):
        (folder / "own.yml").write_text(_FILE.format(version=version, package=package))
        load_curated()
    first, second = Environment.objects.filter(name="AzureML-Own").order_by("version")
    assert first.definition.python.conda_dependencies.pip == ("numpy",)
    # What a run may have used never changes.
    assert second.definition.python.conda_dependencies.pip == ("numpy>=2",)
    newest = Environment.objects.newest().filter(is_curated=True)
    assert [*newest] == [second]


@pytest.mark.django_db
def test_what_is_shipped_no_longer_is_archived(folder: Path) -> None:
    (folder / "own.yml").write_text(_FILE.format(version=1, package="numpy"))
    load_curated()
    (folder / "own.yml").unlink()
    load_curated()
    assert Environment.objects.get(name="AzureML-Own").archived_at


@pytest.mark.django_db
def test_they_can_only_be_read() -> None:
    load_curated()
    row = Environment.objects.get(name="AzureML-Minimal")
    with pytest.raises(UserError, match="is curated, and can't be changed"):
        archive_environment(row)
    with pytest.raises(UserError, match="is curated, and can't be changed"):
        describe_environment(row, "mine")
    with pytest.raises(UserError, match="is curated, and can't be changed"):
        label_environment(row, "production")
    with pytest.raises(UserError, match="reserved for curated environments"):
        save_environment(name="azureml-mine", definition=row.definition)


def test_one_command_says_which_can_not_be_made(folder: Path, tmp_path: Path) -> None:
    wheels = Wheels(tmp_path / "wheels")
    wheels.add("there")
    (folder / "a.yml").write_text(_FILE.format(version=1, package="there"))
    said = io.StringIO()
    with (
        serve_index(wheels.folder) as address,
        override_settings(PYTHON_INDEX=address),
    ):
        call_command("check_curated", stdout=said)
        (folder / "b.yml").write_text(_FILE.format(version=2, package="there==9"))
        with pytest.raises(CommandError, match="1 of the curated environments"):
            call_command("check_curated", stdout=said)
    assert "AzureML-Own:1 resolves." in said.getvalue()
    assert "AzureML-Own:2 There is no there==9" in said.getvalue()
