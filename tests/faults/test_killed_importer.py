"""The importer is killed while it fetches a repository: the page need not notice."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.services.git import repository
from tests.services.git_server import GitServer, serving
from tests.services.portal import Portal
from tests.waiting import eventually

MakePortal = Callable[..., Portal]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    files = {"train.py": b"print(1)\n", "noise.bin": os.urandom(1_000_000)}
    repository(tmp_path / "project", files)
    with serving(GitServer(tmp_path)) as server:
        yield server


@pytest.fixture
def portal(make_portal: MakePortal) -> Portal:
    return make_portal(AML_PORTAL_GIT_HOSTS="127.0.0.1")


def ask(client: httpx.Client, server: GitServer) -> str:
    form = {"address": f"{server.url}/project/.git"}
    answer = client.post("/runs/snapshots/git/", data=form)
    assert answer.status_code == 200, answer.text
    return f"/runs/snapshots/git/{answer.json()['import']}/"


def found(client: httpx.Client, url: str) -> Any:
    answer = client.get(url)
    assert answer.status_code == 200, answer.text
    return answer.json().get("found")


def kill_with_horse(portal: Portal) -> int:
    """Kill the importer and the process that it has at work; its old pid."""
    children = Path("/proc/{0}/task/{0}/children".format(portal.pids()["importer"]))
    (horse,) = map(int, children.read_text().split())
    old = portal.kill("importer")
    os.kill(horse, signal.SIGKILL)
    return old


def gits(portal: Portal) -> set[int]:
    """The processes of git that have to do with the portal's folder of imports."""
    found = set()
    for pid in portal.remains():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if words.startswith(b"git\0"):
            found.add(pid)
    return found


def left_behind(portal: Portal) -> list[Path]:
    return list((portal.data / "imports").iterdir())


def test_a_killed_importer_is_healed(portal: Portal, server: GitServer) -> None:
    client = portal.sign_in()
    server.holds = True
    url = ask(client, server)
    assert server.is_held.wait(20)
    assert gits(portal)
    old = kill_with_horse(portal)
    server.holds = False
    server.released.set()
    answer = eventually(lambda: found(client, url), "the repository is fetched")
    assert answer["files"] == ["noise.bin", "train.py"]
    eventually(lambda: left_behind(portal) == [], "its folders are removed")
    eventually(lambda: not gits(portal), "no git is left")
    portal.wait_for_new("importer", old)


def test_a_killed_importer_leaves_no_git_at_work(
    portal: Portal, server: GitServer
) -> None:
    """The server goes on and on; nobody is there any more who would end git."""
    client = portal.sign_in()
    server.holds = True
    ask(client, server)
    assert server.is_held.wait(20)
    before = gits(portal)
    assert before
    kill_with_horse(portal)
    server.released.set()
    eventually(lambda: not before & gits(portal), "the git of the killed one is gone")


def test_the_portal_is_stopped_while_it_fetches(
    portal: Portal, server: GitServer
) -> None:
    client = portal.sign_in()
    server.holds = True
    url = ask(client, server)
    assert server.is_held.wait(20)
    portal.stop()
    server.holds = False
    server.released.set()
    eventually(lambda: portal.remains() == [], "all its processes are gone")
    portal.start()
    eventually(lambda: found(client, url), "the repository is fetched")
    eventually(lambda: left_behind(portal) == [], "its folders are removed")


def test_redis_loses_everything(portal: Portal, server: GitServer) -> None:
    client = portal.sign_in()
    server.holds = True
    url = ask(client, server)
    waiting = ask(client, server)
    assert server.is_held.wait(20)
    portal.kill("redis")
    server.holds = False
    server.released.set()
    eventually(lambda: found(client, url), "the first is fetched")
    eventually(lambda: found(client, waiting), "the other is fetched")
