"""Who may do what on the pages of compute targets."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from computes.models import ComputeTarget
from tests import factories

pytestmark = pytest.mark.django_db

READ = ["/compute/", "/compute/local/", "/compute/local/checks/"]
READ += ["/compute/local/queue/"]
MANAGE = ["/compute/new/", "/compute/new/ssh/", "/compute/new/docker/"]
MANAGE += ["/compute/new/slurm/", "/compute/new/spark/", "/compute/local/edit/"]
MANAGE += ["/compute/local/host-key/", "/compute/local/leftovers/"]
CHANGE = ["/compute/new/ssh/", "/compute/new/docker/", "/compute/new/slurm/"]
CHANGE += ["/compute/new/spark/", "/compute/local/edit/", "/compute/local/host-key/"]
CHANGE += ["/compute/local/check/", "/compute/local/detach/"]
CHANGE += ["/compute/local/leftovers/end/"]


@pytest.fixture
def target() -> ComputeTarget:
    return factories.target()


@pytest.mark.usefixtures("target")
@pytest.mark.parametrize("address", [*READ, *MANAGE])
def test_a_stranger_sees_nothing(address: str) -> None:
    answer = Client().get(address)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in/")


@pytest.mark.usefixtures("target")
@pytest.mark.parametrize("address", [*CHANGE, "/compute/local/queue/change/"])
def test_a_stranger_changes_nothing(address: str) -> None:
    answer = Client().post(address)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in/")


@pytest.mark.usefixtures("target")
@pytest.mark.parametrize("address", MANAGE)
def test_only_administrators_see_what_is_theirs(address: str) -> None:
    assert factories.signed_in(factories.person()).get(address).status_code == 403


@pytest.mark.usefixtures("target")
@pytest.mark.parametrize("address", CHANGE)
def test_only_administrators_change_a_target(address: str) -> None:
    assert factories.signed_in(factories.person()).post(address).status_code == 403


@pytest.mark.usefixtures("target")
@pytest.mark.parametrize("address", [*CHANGE, "/compute/local/queue/change/"])
def test_another_site_has_an_administrator_change_nothing(address: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("root"))
    assert client.post(address).status_code == 403


@pytest.mark.parametrize("name", ["new", "New", "NEW"])
def test_no_target_hides_a_page_of_the_portal(name: str) -> None:
    client = factories.signed_in(User.objects.create_superuser("root"))
    answer = client.post("/compute/new/ssh/", {"name": name})
    assert "taken by the portal itself" in answer.content.decode()


@pytest.mark.usefixtures("redis_server")
def test_an_account_that_has_runs_is_not_deleted(target: ComputeTarget) -> None:
    run = factories.submit(target=target)
    client = factories.signed_in(User.objects.create_superuser("root"))
    client.post(f"/admin/auth/user/{run.owner_id}/delete/", {"post": "yes"})
    assert User.objects.filter(pk=run.owner_id).exists()
