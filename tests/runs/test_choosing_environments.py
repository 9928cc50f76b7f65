"""Which environments the submit page offers, and how."""

import re

import pytest
from django.test import Client

from environments.curated import load_curated
from environments.definition import Definition
from environments.models import Environment
from environments.services import label_environment, save_environment
from tests import factories

pytestmark = pytest.mark.django_db


def options(client: Client, query: str = "") -> dict[str, list[str]]:
    """The texts of the options by their group."""
    page = client.get(f"/runs/new/{query}").content.decode()
    groups = re.findall(r'<optgroup label="(\w+)">(.*?)</optgroup>', page, re.DOTALL)
    return {
        label: [
            " ".join(text.split())
            for text in re.findall(r"<option[^>]*>(.*?)</option>", inside, re.DOTALL)
        ]
        for label, inside in groups
    }


@pytest.fixture
def client() -> Client:
    return factories.signed_in(factories.person())


def save(*packages: str) -> Environment:
    definition = Definition.of_packages(*packages)
    return save_environment(name="mine", definition=definition)


def test_own_ones_come_before_the_curated_ones(client: Client) -> None:
    load_curated()
    save("numpy")
    found = options(client)
    assert [*found] == ["Custom", "Curated"]
    assert found["Custom"][0] == "mine:1 (Packages, Python 3.11)"
    assert found["Custom"][1].startswith("this-python:1 (User-managed, Python 3.")
    assert "AzureML-Minimal:1 (Packages, Python 3.11)" in found["Curated"][0]


def test_of_old_versions_labelled_ones_are_offered_and_that_of_the_run(
    client: Client,
) -> None:
    versions = [save(name) for name in ("one", "two", "three", "four")]
    label_environment(versions[1], "production")
    offered = options(client)["Custom"]
    assert [each[:6] for each in offered] == ["mine:4", "mine:2", "this-p"]
    assert "[production]" in offered[1]
    run = factories.ended_run()
    run.environment = versions[0]
    run.snapshot = factories.snapshot({"train.py": ""})
    run.save()
    again = options(client, f"?from={run.run_id}")["Custom"]
    assert [each[:6] for each in again] == ["mine:4", "mine:2", "mine:1", "this-p"]
