"""`manage.py serve`: one portal that starts, stays and stops as a whole."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import redis

from tests.services.portal import ROOT, Portal
from tests.services.redis import RedisServer
from tests.waiting import eventually

NAMES = {"serve", "web", "worker", "importer", "monitor", "redis"}
MakePortal = Callable[..., Portal]


def test_it_starts_every_process_in_a_session_of_its_own(portal: Portal) -> None:
    pids = portal.pids()
    assert set(pids) == NAMES
    assert len({os.getsid(pid) for pid in pids.values()}) == len(NAMES)
    assert portal.client().get("/sign-in/").status_code == 200


def test_it_says_one_address(portal: Portal) -> None:
    assert portal.output.count("http://") == 1
    assert portal.url == f"http://127.0.0.1:{portal.env['AML_PORTAL_PORT']}"


def test_a_second_one_is_refused_with_the_address_of_the_first(portal: Portal) -> None:
    second = _serve(portal.env)
    assert second.returncode == 1
    assert f"already runs on this data folder at {portal.url}" in second.stderr
    assert portal.client().get("/sign-in/").status_code == 200


def test_a_port_in_use_is_named(portal: Portal, make_portal: MakePortal) -> None:
    port = portal.env["AML_PORTAL_PORT"]
    folder = make_portal()
    folder.stop()
    second = _serve({**folder.env, "AML_PORTAL_PORT": port})
    assert second.returncode == 1
    assert f"Port {port} of 127.0.0.1 is in use" in second.stderr
    assert "AML_PORTAL_PORT" in second.stderr


def test_an_address_of_another_machine_is_refused(portal: Portal) -> None:
    data = portal.data / "elsewhere"
    environment = {**portal.env, "AML_PORTAL_DATA": str(data)}
    second = _serve({**environment, "AML_PORTAL_HOST": "192.0.2.1"})
    assert second.returncode == 1
    assert "AML_PORTAL_HOST must be an address of this machine" in second.stderr


def test_a_setting_that_can_not_work_is_one_sentence(portal: Portal) -> None:
    second = _serve({**portal.env, "AML_PORTAL_PORT": "eighty"})
    assert second.returncode == 1
    assert second.stderr.startswith("AML_PORTAL_PORT is 'eighty': use a whole number")
    assert second.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["web", "worker", "monitor", "redis"])
def test_a_killed_process_is_started_again(portal: Portal, name: str) -> None:
    old = portal.kill(name)
    portal.wait_for_new(name, old)
    assert portal.client().get("/sign-in/").status_code == 200
    assert f"{name} ended by signal 9. It is started again in" in portal.output


def test_a_visitor_waits_while_the_web_process_is_replaced(portal: Portal) -> None:
    eventually(lambda: portal.client().get("/sign-in/").is_success, "a page")
    portal.kill("web")
    assert portal.client().get("/sign-in/").status_code == 200


def test_the_queue_survives_a_killed_redis(portal: Portal) -> None:
    _redis(portal).set("kept", "yes")
    portal.wait_for_new("redis", portal.kill("redis"))
    eventually(lambda: _is_up(_redis(portal)), "Redis answers")
    assert _redis(portal).get("kept") == b"yes"


def test_ctrl_c_stops_everything(make_portal: MakePortal) -> None:
    portal = make_portal()
    assert portal.stop(signal.SIGINT) == 0
    assert portal.remains() == []
    assert portal.output.endswith(
        "Stopped. Runs go on and are picked up at the next start.\n"
    )
    assert "ended" not in portal.output


def test_it_starts_again_where_it_was(make_portal: MakePortal) -> None:
    portal = make_portal()
    link = portal.first_link
    _redis(portal).set("kept", "yes")
    portal.stop()
    portal.start()
    assert _redis(portal).get("kept") == b"yes"
    assert portal.client().get(link).is_success


def test_a_killed_serve_leaves_nothing_running(make_portal: MakePortal) -> None:
    portal = make_portal()
    portal.kill("serve")
    eventually(lambda: portal.remains() == [], "all its processes are gone")


def test_it_starts_right_after_it_was_killed(make_portal: MakePortal) -> None:
    portal = make_portal()
    _redis(portal).set("kept", "yes")
    portal.kill("serve")
    portal.start()
    assert set(portal.pids()) == NAMES
    eventually(lambda: _is_up(_redis(portal)), "Redis answers")
    assert _redis(portal).get("kept") == b"yes"


def test_more_workers(make_portal: MakePortal) -> None:
    portal = make_portal(AML_PORTAL_WORKERS=2)
    assert set(portal.pids()) == NAMES | {"worker-2"}


def test_nobody_else_can_look_into_the_data_folder(portal: Portal) -> None:
    assert portal.data.stat().st_mode & 0o777 == 0o700
    for name in ("logs", "redis"):
        assert (portal.data / name).stat().st_mode & 0o777 == 0o700


def test_a_first_link_is_in_no_log(portal: Portal) -> None:
    assert portal.first_link
    portal.client().get(portal.first_link)
    assert portal.first_link.split("/")[-2] not in portal.logs()
    assert portal.first_link.split("/")[-2] not in _command_lines(portal)


@pytest.fixture
def other_redis() -> Iterator[RedisServer]:
    with RedisServer.on_port() as server:
        yield server


def test_a_redis_of_somebody_else(
    make_portal: MakePortal, other_redis: RedisServer
) -> None:
    portal = make_portal(REDIS_URL=other_redis.url)
    assert set(portal.pids()) == NAMES - {"redis"}
    assert not (portal.data / "redis").exists()
    eventually(lambda: _workers(other_redis.client), "the worker has come")
    other_redis.stop()
    assert portal.client().get("/sign-in/").status_code == 200
    assert portal.sign_in().get("/change-password/").status_code == 200
    other_redis.start()
    eventually(lambda: _workers(other_redis.client), "the worker is back", 60)


def _serve(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "serve"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def _redis(portal: Portal) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(portal.data / "redis" / "redis.sock"))


def _is_up(client: redis.Redis) -> bool:
    with contextlib.suppress(redis.RedisError):
        return bool(client.ping())
    return False


def _workers(client: redis.Redis) -> int:
    with contextlib.suppress(redis.RedisError):
        return int(client.scard("rq:workers"))
    return 0


def _command_lines(portal: Portal) -> str:
    return subprocess.run(
        ["ps", "-ww", "-o", "args=", "-p", ",".join(map(str, portal.pids().values()))],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
