"""Environments as people define and see them."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from aml_portal.errors import UserError
from computes.models import ComputeTarget
from environments.definition import Definition
from environments.models import Environment
from environments.services import (
    archive_environment,
    label_environment,
    remove_label,
    restore_environment,
    save_environment,
)
from tests.factories import person, submit, this_python

pytestmark = pytest.mark.django_db
NEW = "/environments/new/"


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(person())
    return client


@pytest.fixture
def administrator() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def form(**changes: str) -> dict[str, str]:
    return {"name": "mine", "how": "interpreter", "python": "3.11", **changes}


def test_the_portals_own_python_is_there_from_the_start() -> None:
    environment = Environment.objects.get(name="this-python")
    assert environment.version == 1
    assert environment.interpreter_on(ComputeTarget(kind="local")) == sys.executable


def test_an_environment_is_saved_with_what_its_interpreter_says(client: Client) -> None:
    answer = client.post(
        NEW,
        form(interpreter_path="/usr/bin/python3", variables="A=1\n\nB=x=y\n"),
        follow=True,
    )
    saved = Environment.objects.get(name="mine")
    assert saved.environment_variables == {"A": "1", "B": "x=y"}
    assert saved.python_version.startswith("3.")
    assert b"mine:1 is saved" in answer.content


def test_a_name_that_exists_gets_a_new_version_if_anything_changed() -> None:
    def save(**variables: str) -> int:
        definition = Definition.user_managed("", variables)
        return save_environment(name="mine", definition=definition).version

    assert [save(A="1"), save(A="1"), save(A="2"), save(A="1")] == [1, 1, 2, 3]


def test_an_unknown_interpreter_is_refused_where_it_was_typed(client: Client) -> None:
    answer = client.post(NEW, form(interpreter_path="/no/such/python"))
    assert answer.status_code == 200
    assert b"/no/such/python does not exist on the portal" in answer.content
    assert b'value="mine"' in answer.content
    assert not Environment.objects.filter(name="mine").exists()


def test_an_interpreter_of_another_machine_is_taken_on_trust(client: Client) -> None:
    ComputeTarget.objects.create(name="gpu-box", kind="ssh", host_key="known")
    asked = form(interpreter_path="/opt/conda/bin/python-of-gpu-box")
    page = client.post(NEW, asked, follow=True).content.decode()
    assert "mine:1 is saved" in page
    assert "python-of-gpu-box is not on the portal&#x27;s machine" in page
    assert Environment.objects.get(name="mine").python_version == ""
    # What is there has to be one, and a path has to be whole.
    for wrong in ("/etc/hostname", "/etc", "bin/python"):
        assert client.post(NEW, form(interpreter_path=wrong)).status_code == 200
    assert Environment.objects.filter(name="mine").count() == 1


@pytest.mark.parametrize(
    "line", ["1A=x", "A B=x", "A-B=x", "=x", "no equals", "É=x", "A;B=x"]
)
def test_a_variable_with_a_bad_name_is_refused(client: Client, line: str) -> None:
    answer = client.post(NEW, form(variables=f"OK=1\n{line}"))
    assert b"Line 2 is not NAME=value" in answer.content
    assert not Environment.objects.filter(name="mine").exists()


@pytest.mark.parametrize("name", ["", "a b", "../up", "x" * 300, "a/b", "<b>"])
def test_a_bad_name_is_refused(client: Client, name: str) -> None:
    answer = client.post(NEW, form(name=name))
    assert answer.status_code == 200
    assert Environment.objects.count() == 1


def test_a_form_begins_with_the_environment_it_is_to_replace(client: Client) -> None:
    save_environment(name="mine", definition=Definition.user_managed("", {"A": "1"}))
    saved = Environment.objects.get(name="mine")
    assert b"A=1" in client.get(NEW, {"from": str(saved.pk)}).content
    assert client.get(NEW, {"from": "999999"}).status_code == 404
    assert client.get(NEW, {"from": "x"}).status_code == 200
    assert client.get(NEW, {"from": "9" * 5000}).status_code == 200


def test_only_administrators_archive(client: Client, administrator: Client) -> None:
    address = f"{this_python().get_absolute_url()}archive/"
    assert client.post(address).status_code == 403
    assert Environment.objects.usable().exists()
    assert administrator.post(address, follow=True).status_code == 200
    assert not Environment.objects.usable().exists()


def test_a_run_can_not_use_what_is_archived() -> None:
    environment = this_python()
    archive_environment(environment)
    environment.refresh_from_db()
    with pytest.raises(UserError, match="archived"):
        submit(environment=environment)


def test_what_comes_from_people_is_shown_as_text(client: Client) -> None:
    client.post(NEW, form(description="<script>alert(1)</script>", variables="A=<b>"))
    page = client.get("/environments/").content
    assert b"<script>alert" not in page
    assert b"&lt;script&gt;alert" in page


def saved(name: str = "mine", **variables: str) -> Environment:
    definition = Definition.user_managed("", variables)
    return save_environment(name=name, definition=definition)


def test_one_version_of_a_name_has_a_label() -> None:
    first, second, other = saved(A="1"), saved(A="2"), saved("other")
    for each in (first, other, second):
        label_environment(each, "production")
    assert not first.labels.exists()
    assert [str(label) for label in second.labels.all()] == ["production"]
    assert other.labels.exists()
    remove_label(second, "production")
    assert not second.labels.exists()


@pytest.mark.parametrize("label", ["", "latest", "a b", "<b>", "x" * 65, "é"])
def test_what_is_no_label_is_refused(label: str) -> None:
    with pytest.raises(UserError, match="can't be a label"):
        label_environment(saved(), label)


def test_newest_and_labelled_versions_are_offered_and_the_one_that_was_chosen() -> None:
    versions = [saved(A=str(number)) for number in range(4)]
    label_environment(versions[1], "production")

    def offered(chosen: str = "") -> list[int]:
        found = Environment.objects.offered(chosen).filter(name="mine")
        return [each.version for each in found]

    assert offered() == [4, 2]
    assert offered(str(versions[0].pk)) == [4, 2, 1]
    assert offered("9" * 5000) == offered("x") == [4, 2]
    archive_environment(versions[0])
    assert offered(str(versions[0].pk)) == []


def test_all_versions_are_archived_and_restored_together() -> None:
    first, second, other = saved(A="1"), saved(A="2"), saved("other")
    archive_environment(first)
    assert [*Environment.objects.usable().filter(name__in=["mine", "other"])] == [other]
    assert [*Environment.objects.archived()] == [second]
    restore_environment(second)
    assert Environment.objects.usable().filter(name="mine").count() == 2
    assert not Environment.objects.archived()


def test_nothing_is_saved_under_an_archived_name() -> None:
    archive_environment(saved(A="1"))
    for value in ("1", "2"):
        with pytest.raises(UserError, match=r"mine is archived\. Choose another name"):
            saved(A=value)
    assert Environment.objects.filter(name="mine").count() == 1


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "-a", "a/b", "../a", "a b", "a\n", "a" * 256, "<b>"),
        *("AzureML-Mine", "azureml", "AZUREML-x", "Microsoft.Own", "microsoft"),
        # What only looks like a letter of the alphabet.
        *("\u0430bc", "\uff21zureML-Mine", "Azure\u200bML", "caf\u00e9", "\u0661"),
    ],
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(UserError):
        saved(name)
    assert Environment.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_those_who_save_at_once_get_a_version_each() -> None:
    begin = threading.Barrier(4)

    def save(number: int) -> int:
        begin.wait()
        try:
            return saved(A=str(number)).version
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        versions = [*threads.map(save, range(4))]
    assert sorted(versions) == [1, 2, 3, 4]
    values = {
        each.version: each.environment_variables["A"]
        for each in Environment.objects.filter(name="mine")
    }
    assert values == {version: str(n) for n, version in enumerate(versions)}


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"docker": {"enabled": True}}, "neither an image nor a Dockerfile"),
        ({"docker": {"enabled": True, "baseImage": "A B"}}, "no name of a Docker"),
        ({"docker": {"baseDockerfile": "RUN x"}}, "has no FROM line"),
        ({"docker": {"shmSize": "much"}}, "no size of shared memory"),
        ({"spark": {"packages": ["a:b:c d"]}}, "names no Maven package"),
        ({"spark": {"repositories": ["https://u:p@h/"]}}, "no address of a Maven"),
        ({"environmentVariables": {"A-B": "1"}}, "is not a name for an environment"),
        ({"environmentVariables": {"A": "\0"}}, "has a NUL character"),
        ({"environmentVariables": {"A": "x" * 300_000}}, "larger than any environment"),
        (
            {"python": {"condaDependencies": {"dependencies": ["python=2.7"]}}},
            "no version of Python that can be installed",
        ),
        (
            {"python": {"condaDependencies": {"dependencies": [{"pip": ["-e ."]}]}}},
            "installs a package from its source folder",
        ),
    ],
)
def test_a_definition_that_can_not_work_is_not_saved(
    value: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        save_environment(name="mine", definition=Definition.from_json(value))
    assert not Environment.objects.filter(name="mine").exists()
