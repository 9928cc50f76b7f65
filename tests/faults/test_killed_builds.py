"""Environments that are needed while the portal's worker dies, or by many at once."""

import os
import platform
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.environments.wheels import Wheels
from tests.services.portal import Portal
from tests.services.runs import set_places, submit

PYTHON = ".".join(platform.python_version_tuple()[:2])
_ADD = (
    "from environments.definition import Definition;"
    "from environments.services import save_environment;"
    "print('is', save_environment(name='tiny',"
    f" definition=Definition.of_packages('tiny', python='{PYTHON}')).pk)"
)
SHOW = "import tiny; print(tiny.VERSION)"


class SlowIndex(ThreadingHTTPServer):
    """A folder of wheels that nobody sees before `opened` is set."""

    def __init__(self, folder: Path) -> None:
        self.asked, self.opened = threading.Event(), threading.Event()
        super().__init__(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class _Handler(SimpleHTTPRequestHandler):
    server: SlowIndex

    def do_GET(self) -> None:
        self.server.asked.set()
        self.server.opened.wait(60)
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def index(tmp_path: Path) -> Iterator[SlowIndex]:
    wheels = Wheels(tmp_path / "wheels")
    wheels.add("tiny", "1.5")
    with SlowIndex(wheels.folder) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.opened.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def portal(
    make_portal: Callable[..., Portal], index: SlowIndex, tmp_path: Path
) -> Portal:
    return make_portal(
        AML_PORTAL_PYTHON_INDEX=f"file://{tmp_path}/none",
        AML_PORTAL_PYTHON_FIND_LINKS=index.address,
    )


def add_environment(portal: Portal) -> str:
    return portal.manage("shell", "-c", _ADD).rpartition("is ")[2].strip()


def kill_with_what_it_started(portal: Portal) -> None:
    """Kill the worker and the program that it has at work."""
    # Of each thread the system knows the children.
    threads = Path(f"/proc/{portal.pids()['worker']}/task").iterdir()
    (at_work,) = [
        int(child)
        for each in threads
        for child in (each / "children").read_text().split()
    ]
    portal.kill("worker")
    os.kill(at_work, signal.SIGKILL)


def test_a_worker_that_is_killed_while_it_resolves_is_made_up_for(
    portal: Portal, index: SlowIndex
) -> None:
    client = portal.sign_in()
    run = submit(portal, client, script=SHOW, environment=add_environment(portal))
    assert index.asked.wait(30)
    kill_with_what_it_started(portal)
    index.opened.set()
    assert run.wait_for_end() == "Completed", run.column("error")
    assert run.log().endswith(b"1.5\n")


def test_a_build_goes_on_while_the_worker_is_killed(
    portal: Portal, index: SlowIndex
) -> None:
    client, environment = portal.sign_in(), add_environment(portal)
    index.opened.set()
    first = submit(portal, client, script=SHOW, environment=environment)
    assert first.wait_for_end() == "Completed", first.column("error")
    # What is resolved already has to be fetched anew.
    shutil.rmtree(portal.data / "environments")
    index.opened.clear()
    index.asked.clear()
    run = submit(portal, client, script=SHOW, environment=environment)
    assert index.asked.wait(30)
    portal.kill("worker")
    index.opened.set()
    assert run.wait_for_end() == "Completed", run.column("error")
    assert "Its environment was built in" in str(run.events())


def test_runs_that_need_the_same_at_once_have_it_built_once(
    portal: Portal, index: SlowIndex
) -> None:
    index.opened.set()
    set_places(portal, 4)
    client, environment = portal.sign_in(), add_environment(portal)
    runs = [
        submit(portal, client, script=SHOW, environment=environment) for _ in range(4)
    ]
    for run in runs:
        assert run.wait_for_end() == "Completed", run.column("error")
    built = [
        run
        for run in runs
        if any(told.startswith("Its environment was built") for _, told in run.events())
    ]
    assert len(built) == 1
    assert len({run.column("lock_id") for run in runs}) == 1
