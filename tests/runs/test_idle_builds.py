"""Environments on targets that no run uses, as administrators see and remove them."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client, override_settings

from environments.definition import Definition
from environments.models import Build
from environments.services import save_environment
from runs.status import RunStatus
from tests import factories
from tests.environments.wheels import Wheels
from tests.services.monitor import Monitor, job_folder, started

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_server"),
]
LIST, REMOVE = "/compute/local/leftovers/", "/compute/local/leftovers/remove/"
SLEEPS = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.05)"


@pytest.fixture
def admin() -> Client:
    factories.target(max_runs=50)
    return factories.signed_in(User.objects.create(username="boss", is_staff=True))


@pytest.fixture
def root() -> Iterator[Path]:
    root: Path = settings.JOBS_FOLDER.parent / "environments"
    yield root
    shutil.rmtree(root)


@pytest.fixture
def wheels(tmp_path: Path) -> Iterator[Wheels]:
    wheels = Wheels(tmp_path / "wheels")
    wheels.add("tiny", "1.5")
    with override_settings(
        PYTHON_INDEX=f"file://{tmp_path}/none", PYTHON_FIND_LINKS=[str(wheels.folder)]
    ):
        yield wheels


def page(client: Client) -> str:
    return " ".join(client.get(LIST).content.decode().split())


def test_what_a_run_uses_is_not_listed_and_stays_until_it_ends(
    admin: Client, root: Path, wheels: Wheels, monitor: Monitor
) -> None:
    needed = save_environment(name="tiny", definition=Definition.of_packages("tiny"))
    run = started(SLEEPS, environment=needed)
    monitor.wait_for(run, RunStatus.RUNNING)
    key = needed.locks.get().key
    assert key not in page(admin)
    answer = admin.post(REMOVE, {"key": key}, follow=True)
    assert "The environment is in use" in answer.content.decode()
    (job_folder(run) / "work/go").touch()
    monitor.wait_for_end(run)
    text = page(admin)
    assert f'href="{needed.get_absolute_url()}"' in text
    assert key in text
    answer = admin.post(REMOVE, {"key": key}, follow=True)
    assert "The environment was removed." in answer.content.decode()
    assert key not in page(admin)
    assert not (root / key).exists()
    assert Build.objects.get().state == Build.State.REMOVED


def test_what_a_build_that_died_has_left_is_told_as_that(
    admin: Client, root: Path
) -> None:
    (root / "half/bin").mkdir(parents=True)
    os.utime(root / "half", (1, 1))
    text = page(admin)
    assert "its build died" in text
    assert "of no environment of this portal" in text
    admin.post(REMOVE, {"key": "half"})
    assert not (root / "half").exists()


def test_only_administrators_remove(admin: Client) -> None:
    stranger = factories.signed_in(factories.person())
    assert stranger.post(REMOVE, {"key": "x"}).status_code == 403
    assert admin.get(REMOVE).status_code == 405
