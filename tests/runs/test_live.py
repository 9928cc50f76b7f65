"""The sockets of a running portal: who may listen, and that no byte is missing."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest
from django.contrib.sessions.backends.db import SessionStore
from pytest_django.fixtures import Settings
from websockets.exceptions import InvalidStatus

from tests.services.portal import Portal
from tests.services.runs import SubmittedRun, submit
from tests.services.sockets import LiveSocket
from tests.waiting import eventually

WORKSPACE = "/ws/workspace/"
SLOW = "import time\nfor i in range(150): print('line', i); time.sleep(0.02)"
LARGE = "import os\nfor i in range(60): os.write(1, bytes([65 + i % 26]) * 100_000)"
END_OF_NEW = {"type": "end", "size": 8001}
WINDOW, FRAME = 2 * 1024 * 1024, 512 * 1024


@pytest.fixture(scope="module")
def client(portal: Portal) -> Iterator[httpx.Client]:
    client = portal.sign_in()
    yield client
    client.close()


@pytest.fixture(scope="module")
def large(portal: Portal, client: httpx.Client) -> SubmittedRun:
    """A run that has ended, with six megabytes of log."""
    run = submit(portal, client, script=LARGE)
    run.wait_for_end()
    return run


def address(run: SubmittedRun) -> str:
    return f"/ws/runs/{run.run_id}/"


@pytest.mark.parametrize("path", [WORKSPACE, "/ws/runs/some_run/"])
def test_a_stranger_is_refused(portal: Portal, path: str) -> None:
    with LiveSocket(portal, None, path) as socket:
        assert socket.close_code() == 4401


def test_a_socket_ends_after_its_session(portal: Portal) -> None:
    client = portal.sign_in()
    with LiveSocket(portal, client, WORKSPACE) as socket:
        client.post("/sign-out/")
        assert socket.close_code() == 4401


def test_a_session_that_can_not_be_looked_at_is_looked_at_again(
    portal: Portal, settings: Settings
) -> None:
    client = portal.sign_in()
    cookies = dict(client.cookies)
    key = next(cookies[name] for name in cookies if "session" in name)
    settings.SECRET_KEY = (portal.data / "secret_key").read_text()
    nonsense = SessionStore().encode({"_auth_user_id": "no number"})
    database = sqlite3.connect(portal.data / "db.sqlite3")
    with LiveSocket(portal, client, WORKSPACE) as socket, closing(database):
        change = "UPDATE django_session SET session_data = ? WHERE session_key = ?"
        with database:
            database.execute(change, [nonsense, key])
        eventually(lambda: "can't be looked at" in portal.logs(), "it was looked at")
        with database:
            database.execute("DELETE FROM django_session WHERE session_key = ?", [key])
        assert socket.close_code() == 4401


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example"]
)
def test_pages_of_other_sites_are_refused(
    portal: Portal, client: httpx.Client, origin: str
) -> None:
    with (
        pytest.raises(InvalidStatus),
        LiveSocket(portal, client, WORKSPACE, origin) as socket,
    ):
        socket.receive()


def test_a_run_that_is_not_there_is_refused(
    portal: Portal, client: httpx.Client
) -> None:
    with LiveSocket(portal, client, "/ws/runs/none_1_a/") as socket:
        assert socket.close_code() == 4404


@pytest.mark.parametrize(
    "message",
    [
        "",
        "no json",
        "5",
        "[]",
        "null",
        "{}",
        b"\0\1",
        '{"type": "delete"}',
        '{"type": "follow"}',
        '{"type": "follow", "from": "1"}',
        '{"type": "follow", "from": 1e999}',
        '{"type": "follow", "from": {}}',
        '{"type": "ack", "offset": null}',
        "[" * 60_000,
    ],
    ids=lambda message: repr(message[:40]),
)
def test_what_no_page_asks_for_ends_the_socket_alone(
    portal: Portal, client: httpx.Client, large: SubmittedRun, message: str | bytes
) -> None:
    web = portal.pids()["web"]
    with LiveSocket(portal, client, address(large)) as socket:
        socket.send_raw(message)
        assert socket.close_code() == 4400
    assert portal.pids()["web"] == web


def test_a_message_that_is_too_long_ends_the_socket_alone(
    portal: Portal, client: httpx.Client, large: SubmittedRun
) -> None:
    with LiveSocket(portal, client, address(large)) as socket:
        socket.send_raw("x" * 1_000_000)
        assert socket.close_code() == 1009
    with LiveSocket(portal, client, address(large)) as socket:
        assert len(socket.read_log(5_900_000)) == 100_000


@pytest.mark.parametrize("start", [0, 1, 2_345_678, 6_000_000])
def test_the_log_comes_whole_from_any_offset(
    portal: Portal, client: httpx.Client, large: SubmittedRun, start: int
) -> None:
    with LiveSocket(portal, client, address(large)) as socket:
        assert socket.read_log(start) == large.log()[start:]


def test_a_log_that_is_only_on_the_disk_comes_whole(
    portal: Portal, client: httpx.Client, large: SubmittedRun
) -> None:
    with (large.mirror / "logs" / "std_log.txt").open("r+b") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    with LiveSocket(portal, client, address(large)) as socket:
        # Not where another reader has begun, whose bytes the portal keeps for a while.
        assert len(socket.read_log(77)) == 6_000_000 - 77


def test_an_offset_behind_the_end_is_the_end(
    portal: Portal, client: httpx.Client, large: SubmittedRun
) -> None:
    with LiveSocket(portal, client, address(large)) as socket:
        socket.send(type="follow", **{"from": 10**30})
        assert socket.wait_for("log")["from"] == 6_000_000
        assert socket.wait_for("end")["size"] == 6_000_000


def test_a_log_that_is_sent_anew_replaces_what_readers_have(
    portal: Portal, client: httpx.Client
) -> None:
    """The script shortens its log and prints past its old size; so only the end shows
    that what was mirrored is not the log."""
    script = "import os, time\nprint('old ' * 1000, flush=True)\n"
    script += "while not os.path.exists('go'): time.sleep(0.02)\n"
    script += "os.ftruncate(1, 0)\nprint('new ' * 2000)"
    run = submit(portal, client, script=script)
    with (
        LiveSocket(portal, client, address(run)) as socket,
        LiveSocket(portal, client, address(run)) as other,
    ):
        assert socket.read_log(0, until=1).startswith(b"old ")
        (portal.data / "jobs" / run.run_id / "work" / "go").touch()
        socket.wait_for("restart")
        log = bytearray()
        while (message := socket.receive()) and message != END_OF_NEW:
            if isinstance(message, tuple):
                assert message[0] == len(log)
                log += message[1]
        assert log == run.log() == b"new " * 2000 + b"\n"
        other.wait_for("restart")
        assert other.wait_for("grown")["end"] <= len(log)


def test_who_is_far_behind_may_skip_to_the_tail(
    portal: Portal, client: httpx.Client, large: SubmittedRun
) -> None:
    with LiveSocket(portal, client, address(large)) as socket:
        socket.send(type="follow", skip=True, **{"from": 0})
        skip = socket.wait_for("skip")
        assert (skip["end"], skip["line"]) == (6_000_000, 0)
        assert skip["end"] - skip["from"] <= 256 * 1024
        offset, data = socket.wait_for_bytes()
        assert offset == skip["from"]
        assert data == large.log()[offset:]


def test_a_late_word_of_a_reader_who_skipped_does_not_hold_it_up(
    portal: Portal, client: httpx.Client
) -> None:
    """It left before the skip arrived, and is about bytes long passed by."""
    wait = "import time\nfrom pathlib import Path\n"
    wait += "while not Path('go').exists(): time.sleep(0.02)\nprint('later')"
    run = submit(portal, client, script=f"{LARGE}\n{wait}")
    eventually(lambda: len(run.log()) == 6_000_000, "the first lines are mirrored")
    with LiveSocket(portal, client, address(run)) as socket:
        socket.send(type="follow", skip=True, **{"from": 0})
        socket.wait_for("skip")
        socket.send(type="ack", offset=1000)
        (portal.data / "jobs" / run.run_id / "work" / "go").touch()
        assert eventually(lambda: socket.wait_for_bytes()[1].endswith(b"later\n"), "")
    run.wait_for_end()


def test_a_reader_that_says_nothing_is_sent_no_more_than_a_window(
    portal: Portal, client: httpx.Client, large: SubmittedRun
) -> None:
    with LiveSocket(portal, client, address(large)) as socket:
        socket.send(type="follow", **{"from": 0})
        received = 0
        with pytest.raises(TimeoutError):
            while True:
                message = socket.receive(timeout=1)
                received += len(message[1]) if isinstance(message, tuple) else 0
        assert WINDOW <= received <= WINDOW + FRAME
        socket.send(type="ack", offset=received)
        assert socket.wait_for_bytes()[0] == received


def test_bytes_arrive_while_the_script_runs_and_the_end_ends_them(
    portal: Portal, client: httpx.Client
) -> None:
    run = submit(portal, client, script=SLOW)
    with LiveSocket(portal, client, address(run)) as socket:
        first = socket.read_log(0, until=1)
        assert run.status in ("Starting", "Running")
        assert first + socket.read_log(len(first)) == run.log()
    assert run.log().splitlines()[-1] == b"line 149"


def test_a_reader_goes_on_where_it_was_when_web_is_killed(
    portal: Portal, client: httpx.Client
) -> None:
    run = submit(portal, client, script=SLOW)
    with LiveSocket(portal, client, address(run)) as socket:
        log = socket.read_log(0, until=100)
        web = portal.kill("web")
        socket.close_code()
    portal.wait_for_new("web", web)
    with LiveSocket(portal, client, address(run)) as socket:
        log += socket.read_log(len(log))
    assert log == run.log()
    assert run.status == "Completed"


def test_a_reader_hears_on_when_redis_is_killed(
    portal: Portal, client: httpx.Client
) -> None:
    run = submit(portal, client, script=SLOW)
    with LiveSocket(portal, client, address(run)) as socket:
        log = socket.read_log(0, until=100)
        redis = portal.kill("redis")
        log += socket.read_log(len(log))
    portal.wait_for_new("redis", redis)
    assert log == run.log()


def test_fifty_readers_get_the_same_bytes(portal: Portal, client: httpx.Client) -> None:
    run = submit(portal, client, script=SLOW)
    logs: list[bytes] = []

    def read() -> None:
        with LiveSocket(portal, client, address(run)) as socket:
            logs.append(socket.read_log(0))

    threads = [threading.Thread(target=read) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert logs == [run.log()] * 50


def test_who_unfollows_hears_of_growth_and_gets_no_bytes(
    portal: Portal, client: httpx.Client
) -> None:
    run = submit(portal, client, script=SLOW)
    with LiveSocket(portal, client, address(run)) as socket:
        socket.read_log(0, until=1)
        socket.send(type="unfollow")
        ends = [socket.wait_for("grown")["end"] for _ in range(2)]
        while (message := socket.receive()) and isinstance(message, dict):
            if message["type"] == "grown":
                ends.append(message["end"])
            if message["type"] == "end":
                break
        assert message == {"type": "end", "size": len(run.log())}
    assert len(ends) > 3
    assert ends == sorted(ends)


def test_a_page_of_a_run_hears_of_its_states(
    portal: Portal, client: httpx.Client
) -> None:
    run = submit(portal, client, script="import time; time.sleep(1)")
    with LiveSocket(portal, client, address(run)) as socket:
        seen: list[str] = []
        while seen[-1:] != ["Completed"]:
            changed = socket.wait_for("changed")
            if "status" in changed["what"]:
                seen.append(changed["status"])
    order = ["Preparing", "Starting", "Running", "Finalizing", "Completed"]
    assert seen == [state for state in order if state in seen]


def test_the_workspace_hears_of_every_run(portal: Portal, client: httpx.Client) -> None:
    with LiveSocket(portal, client, WORKSPACE) as socket:
        runs = {submit(portal, client, script="").run_id for _ in range(2)}
        done: set[str] = set()
        while done != runs:
            message = socket.receive()
            assert isinstance(message, dict)
            if message.get("status") == "Completed":
                done.add(message["run"])


def test_a_socket_hears_when_its_run_is_deleted(
    portal: Portal, client: httpx.Client
) -> None:
    run = submit(portal, client, script="")
    run.wait_for_end()
    with LiveSocket(portal, client, address(run)) as socket:
        assert socket.read_log(0) == b""
        eventually(lambda: run.column("cleaned_at"), "the job folder is removed")
        client.post(f"/runs/{run.run_id}/delete/")
        socket.send(type="follow", **{"from": 0})
        assert socket.wait_for("log")["end"] == 0
