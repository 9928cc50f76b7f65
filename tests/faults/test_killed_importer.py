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


def descendants(pid: int) -> set[int]:
    """The processes that a process has started, and those that they have."""
    children = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            children.add(int(path.parent.name))
    return children.union(*map(descendants, children))


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


def test_a_killed_importer_is_healed(portal: Portal, server: GitServer) -> None:
    client = portal.sign_in()
    server.holds = True
    url = ask(client, server)
    assert server.is_held.wait(20)
    started = descendants(portal.pids()["importer"])
    horse = min(started)
    assert gits(portal)
    old = portal.kill("importer")
    os.kill(horse, signal.SIGKILL)
    server.holds = False
    server.released.set()
    answer = eventually(lambda: found(client, url), "the repository is fetched")
    assert answer["files"] == ["noise.bin", "train.py"]
    assert list((portal.data / "imports").iterdir()) == []
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
    started = descendants(portal.pids()["importer"])
    portal.kill("importer")
    os.kill(min(started), signal.SIGKILL)
    server.released.set()
    eventually(lambda: not before & gits(portal), "the git of the killed one is gone")


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
