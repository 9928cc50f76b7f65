"""Compute targets as people see and change them."""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from computes.models import ComputeTarget
from tests.factories import person

pytestmark = pytest.mark.django_db
EDIT = "/compute/local/edit/"


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


def test_this_machine_is_there_from_the_start(client: Client) -> None:
    assert ComputeTarget.objects.get().name == "local"
    assert b"This machine" in client.get("/compute/").content


def test_only_administrators_change_a_target(
    client: Client, administrator: Client
) -> None:
    change = {"max_runs": "7", "description": "the big one"}
    assert client.get(EDIT).status_code == 403
    assert client.post(EDIT, change).status_code == 403
    answer = administrator.post(EDIT, change, follow=True)
    assert b"local takes 7 runs at a time." in answer.content
    assert ComputeTarget.objects.get().max_runs == 7


def test_a_change_writes_nothing_else_of_the_target(administrator: Client) -> None:
    with CaptureQueriesContext(connection) as queries:
        administrator.post(EDIT, {"max_runs": "3"})
    updates = [each["sql"] for each in queries if "UPDATE" in each["sql"]]
    (target,) = [sql for sql in updates if "computes_computetarget" in sql]
    assert "max_runs" in target
    assert "last_seen_at" not in target


@pytest.mark.parametrize("count", ["0", "-1", "x", "", "9" * 30])
def test_a_number_of_runs_that_can_not_be_is_refused(
    administrator: Client, count: str
) -> None:
    answer = administrator.post(EDIT, {"max_runs": count})
    assert answer.status_code == 200
    assert ComputeTarget.objects.get().max_runs == 2


def test_an_unknown_target_is_not_found(administrator: Client) -> None:
    assert administrator.get("/compute/none/").status_code == 404
