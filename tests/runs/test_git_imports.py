"""Git repositories as sources of runs: asked for, fetched, stopped, and healed."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from django.db import connection
from django.test import Client
from pytest_django.fixtures import Settings

from aml_portal.queues import imports_queue
from runs import git_imports, reconcile
from runs.git_imports import carry_out, import_job, import_lease
from runs.leases import acquire, new_owner
from runs.models import GitImport, Run, Snapshot
from runs.reconcile import Reconciler
from tests import factories
from tests.runs.test_submit_views import typed
from tests.services.git import commit, git, repository, write
from tests.services.git_server import GitServer, serving
from tests.services.redis import RedisServer

pytestmark = pytest.mark.django_db(transaction=True)

_FILES = {"train.py": "print(1)\n", ".gitignore": "*.log\n", "src/model.py": "x = 1\n"}
_URL = "/runs/snapshots/git/"


@pytest.fixture(autouse=True)
def empty_queue(redis_server: RedisServer) -> None:
    redis_server.client.flushall()


@pytest.fixture
def client() -> Client:
    return factories.signed_in(factories.person())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return repository(tmp_path / "served" / "project", _FILES)


@pytest.fixture
def server(project: Path, settings: Settings) -> Iterator[GitServer]:
    settings.GIT_HOSTS = ["127.0.0.1"]
    with serving(GitServer(project.parent)) as server:
        yield server


def ask(client: Client, address: str, **more: str) -> Any:
    return client.post(_URL, {"address": address, **more})


def asked(client: Client, server: GitServer, **more: str) -> GitImport:
    answer = ask(client, f"{server.url}/project/.git", **more)
    assert answer.status_code == 200, answer.content
    return GitImport.objects.get(pk=answer.json()["import"])


def look(client: Client, asked_for: GitImport) -> Any:
    return client.get(f"{_URL}{asked_for.pk}/")


def left_behind() -> list[Path]:
    return list(configured.IMPORTS_FOLDER.glob("*"))


def test_a_repository_becomes_the_source_of_a_run(
    client: Client, server: GitServer, project: Path
) -> None:
    asked_for = asked(client, server)
    assert imports_queue().job_ids == [import_job(asked_for)]
    said = look(client, asked_for).json()["said"]
    assert said == "Waiting for other repositories to be fetched…"
    carry_out(asked_for.pk)
    found = look(client, asked_for).json()["found"]
    assert found["name"] == "project"
    assert found["files"] == [".gitignore", "src/model.py", "train.py"]
    assert left_behind() == []

    form = typed(snapshot=found["snapshot"], git='{"commit": "%s"}' % ("1" * 40))
    assert client.post("/runs/new/", form).status_code == 302
    properties = Run.objects.get().properties
    assert properties["azureml.git.repository_uri"] == f"{server.url}/project/.git"
    assert properties["azureml.git.branch"] == "main"
    assert properties["azureml.git.commit"] == git(project, "rev-parse", "main")
    assert properties["azureml.git.dirty"] == "False"
    told = Run.objects.get().events.filter(detail__startswith="Source to portal: ")
    assert told.exists()


def test_what_git_knows_is_kept_of_a_folder_that_was_dropped_before(
    client: Client, server: GitServer
) -> None:
    first = asked(client, server)
    carry_out(first.pk)
    snapshot = look(client, first).json()["found"]["snapshot"]
    session = client.session
    session["arrivals"][snapshot]["git"] = {}
    session.save()
    second = asked(client, server)
    carry_out(second.pk)
    look(client, second)
    client.post("/runs/new/", typed(snapshot=snapshot))
    assert Run.objects.get().properties["azureml.git.branch"] == "main"


def test_the_rules_hold_for_a_folder(
    client: Client, server: GitServer, project: Path
) -> None:
    write(
        project, {"src/.amlignore": "data/\n", "src/data/x.csv": "1", "src/a.log": ""}
    )
    git(project, "add", "--force", "src/a.log")
    commit(project)
    asked_for = asked(client, server, folder="/src/", reference="main")
    carry_out(asked_for.pk)
    found = look(client, asked_for).json()["found"]
    assert found["name"] == "project/src"
    assert found["files"] == [".amlignore", "a.log", "model.py"]
    assert found["left_out"] == [{"path": "data", "rule": ".amlignore:1: data/"}]


def test_what_is_not_fetched_is_told(
    client: Client, server: GitServer, project: Path
) -> None:
    other = repository(server.root / "other", {"x": "1"})
    git(project, "submodule", "--quiet", "add", str(other), "libs/other")
    pointer = (
        "version https://git-lfs.github.com/spec/v1\n"
        f"oid sha256:{'0' * 64}\nsize 12345\n"
    )
    write(project, {"model.bin": pointer, "notes.txt": f"As in:\n{pointer}"})
    commit(project)
    asked_for = asked(client, server)
    carry_out(asked_for.pk)
    found = look(client, asked_for).json()["found"]
    assert found["submodules"] == ["libs/other"]
    assert found["pointers"] == ["model.bin"]


def test_a_link_that_leads_out(
    client: Client, server: GitServer, project: Path
) -> None:
    (project / "passwords").symlink_to("/etc/passwd")
    commit(project)
    asked_for = asked(client, server)
    carry_out(asked_for.pk)
    answer = look(client, asked_for)
    assert answer.status_code == 422
    assert answer.json()["error"] == "The link “passwords” leads out of the folder."
    assert left_behind() == []
    assert not Snapshot.objects.exists()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"address": "ext::sh%20-c"}, "starts a program"),
        ({"address": "https://a:s3cret@b.org/c"}, "a password or a token"),
        ({"reference": "--upload-pack=x"}, "is no name of a branch"),
        ({"folder": "../.."}, "leads out of the folder"),
    ],
)
def test_what_is_refused_is_not_kept(
    client: Client, given: dict[str, str], why: str
) -> None:
    answer = ask(client, **{"address": "https://git.example.org/a", **given})
    assert answer.status_code == 422
    assert why in answer.json()["error"]
    assert not GitImport.objects.exists()
    assert imports_queue().job_ids == []


def test_why_it_failed_is_told(
    client: Client, server: GitServer, settings: Settings
) -> None:
    settings.GIT_HOSTS = []
    asked_for = asked(client, server)
    carry_out(asked_for.pk)
    answer = look(client, asked_for)
    assert answer.status_code == 422
    assert "in a private network" in answer.json()["error"]
    assert "AML_PORTAL_GIT_HOSTS" in answer.json()["advice"]


def test_an_import_is_its_owner_s(client: Client, server: GitServer) -> None:
    asked_for = asked(client, server)
    other = factories.signed_in(factories.person("grace"))
    assert look(other, asked_for).status_code == 404
    assert other.post(f"{_URL}{asked_for.pk}/stop/").status_code == 404
    asked_for.refresh_from_db()
    assert asked_for.state == GitImport.State.WAITING


def test_nobody_has_the_importer_for_himself(client: Client, server: GitServer) -> None:
    for _ in range(3):
        asked(client, server)
    answer = ask(client, f"{server.url}/project/.git")
    assert answer.status_code == 422
    assert "3 repositories are being fetched for you" in answer.json()["error"]
    asked(factories.signed_in(factories.person("grace")), server)


def test_old_ones_are_forgotten(
    client: Client, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = asked(client, server)
    monkeypatch.setattr(git_imports, "_KEPT_FOR", git_imports._KEPT_FOR * 0)
    asked(client, server)
    assert not GitImport.objects.filter(pk=old.pk).exists()


# Stopped, lost, and healed.


def test_one_that_waits_is_stopped(client: Client, server: GitServer) -> None:
    asked_for = asked(client, server)
    assert client.post(f"{_URL}{asked_for.pk}/stop/").status_code == 200
    carry_out(asked_for.pk)
    assert look(client, asked_for).json()["error"] == "The fetching was stopped."
    assert server.seen == []


def test_one_that_is_being_fetched_is_stopped(
    client: Client, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_imports, "_BEAT", 0.1)
    server.is_silent = True
    asked_for = asked(client, server)
    thread = _begun(asked_for)
    while not server.seen:
        assert thread.is_alive()
    assert look(client, asked_for).json()["said"].startswith("Fetching…")
    client.post(f"{_URL}{asked_for.pk}/stop/")
    thread.join(10)
    assert not thread.is_alive()
    assert look(client, asked_for).json()["error"] == "The fetching was stopped."
    assert left_behind() == []


def _begun(asked_for: GitImport) -> threading.Thread:
    def work() -> None:
        try:
            carry_out(asked_for.pk)
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "_PATIENCE", 0.0)


@pytest.mark.usefixtures("impatient")
def test_one_that_redis_lost_is_enqueued_again(
    client: Client, server: GitServer, redis_server: RedisServer
) -> None:
    asked_for = asked(client, server)
    Reconciler().reconcile()
    asked_for.refresh_from_db()
    assert asked_for.attempts == 1
    redis_server.client.flushall()
    Reconciler().reconcile()
    asked_for.refresh_from_db()
    assert imports_queue().job_ids == [import_job(asked_for)]
    assert asked_for.attempts == 2
    carry_out(asked_for.pk)
    assert "found" in look(client, asked_for).json()


@pytest.mark.usefixtures("impatient")
def test_one_that_is_being_fetched_is_left_alone(
    client: Client, server: GitServer, redis_server: RedisServer
) -> None:
    asked_for = asked(client, server)
    redis_server.client.flushall()
    assert acquire(import_lease(asked_for.pk), new_owner(), 60)
    Reconciler().reconcile()
    carry_out(asked_for.pk)
    assert imports_queue().job_ids == []
    assert server.seen == []


def test_one_that_is_there_is_not_fetched_again(
    client: Client, server: GitServer
) -> None:
    asked_for = asked(client, server)
    carry_out(asked_for.pk)
    seen = len(server.seen)
    carry_out(asked_for.pk)
    assert len(server.seen) == seen


def test_what_a_killed_process_left_is_removed(
    client: Client, server: GitServer
) -> None:
    asked_for = asked(client, server)
    busy = configured.IMPORTS_FOLDER / f"{asked_for.pk + 1}-busy"
    assert acquire(import_lease(asked_for.pk + 1), new_owner(), 60)
    for folder in (f"{asked_for.pk}-killed", "9999-killed", busy.name):
        write(configured.IMPORTS_FOLDER, {f"{folder}/repository/pack": "1"})
    carry_out(asked_for.pk)
    assert left_behind() == [busy]


def test_one_that_is_interrupted_each_time_is_given_up(
    client: Client, server: GitServer
) -> None:
    asked_for = asked(client, server)
    GitImport.objects.update(attempts=4, state=GitImport.State.FETCHING)
    carry_out(asked_for.pk)
    assert "was interrupted each time" in look(client, asked_for).json()["error"]
    assert server.seen == []


def test_an_error_of_the_portal_is_told_by_its_id(
    client: Client, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_for = asked(client, server)
    monkeypatch.setattr(git_imports, "read_once", None)
    carry_out(asked_for.pk)
    assert "its log has it as" in look(client, asked_for).json()["error"]


def test_a_disk_without_room_for_a_folder_is_told(
    client: Client, server: GitServer, settings: Settings, tmp_path: Path
) -> None:
    settings.IMPORTS_FOLDER = tmp_path / "no folder"
    settings.IMPORTS_FOLDER.write_bytes(b"")
    asked_for = asked(client, server)
    carry_out(asked_for.pk)
    error = look(client, asked_for).json()["error"]
    assert error == "The portal could not keep the repository: File exists."


def test_a_full_disk_is_told(
    client: Client, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    asked_for = asked(client, server)
    monkeypatch.setattr(git_imports, "read_once", full)
    carry_out(asked_for.pk)
    answer = look(client, asked_for).json()
    assert "No space left on device" in answer["error"]
    assert json.dumps(answer)
