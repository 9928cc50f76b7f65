"""The one command that runs the portal."""

import dataclasses
import json
import os
import socket
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connections

from aml_portal import supervisor
from aml_portal.broker import external_broker_url, socket_path
from aml_portal.errors import PortalError
from aml_portal.instance import Instance, address_of, reachable
from aml_portal.prepare import prepare, unclaimed_administrator
from aml_portal.redis_server import server_command
from aml_portal.sign_in import sign_in_path
from aml_portal.supervisor import Plan, Program

# A submission gets time to finish; killed, it is done again by the next worker.
_STOP_SECONDS = {
    "web": 5.0,
    "worker": 10.0,
    # What it fetches is fetched again, and may take minutes.
    "importer": 1.0,
    "monitor": 10.0,
    "redis": 30.0,
}


class Command(BaseCommand):
    help = "Run the portal: web, worker, monitor and, unless REDIS_URL is set, Redis."

    def handle(self, *args: Any, **options: Any) -> None:
        instance = Instance(settings.DATA)
        try:
            instance.claim()
            listener = instance.listen(settings.PORTAL_HOST, settings.PORTAL_PORT)
            prepare()
            plan = _plan(instance, listener)
        except PortalError as error:
            self.stderr.write(str(error))
            sys.exit(1)
        connections.close_all()
        _become_supervisor(plan, keep=[instance.lock, listener.fileno()])


def _plan(instance: Instance, listener: socket.socket) -> Plan:
    logs = settings.DATA / "logs"
    logs.mkdir(mode=0o700, exist_ok=True)
    address = settings.PORTAL_URL or address_of(listener)
    return Plan(
        state_file=instance.state_file,
        logs=logs,
        address=address,
        greeting=_greeting(address),
        probe=reachable(listener),
        programs=[*_redis(), *_portal(listener)],
    )


def _greeting(address: str) -> str:
    """The one line to act on."""
    administrator = unclaimed_administrator()
    if administrator is None:
        return f"The portal is ready: {address}/"
    link = f"{address}{sign_in_path(administrator)}"
    return f"The portal is ready. Choose your password here, once: {link}"


def _redis() -> list[Program]:
    if external_broker_url():
        return []
    return [
        Program(
            name="redis",
            argv=server_command(settings.DATA),
            stop_seconds=_STOP_SECONDS["redis"],
            lock=str(settings.DATA / "redis" / "lock"),
            socket=str(socket_path(settings.DATA)),
            last=True,
        )
    ]


def _portal(listener: socket.socket) -> list[Program]:
    workers = range(1, settings.WORKERS + 1)
    descriptor = listener.fileno()
    return [
        _command("web", "web", f"--fd={descriptor}", inherit=[descriptor]),
        *(_command("worker" if n == 1 else f"worker-{n}", "worker") for n in workers),
        _command("importer", "worker", "imports"),
        _command("monitor", "monitor"),
    ]


def _command(name: str, *words: str, inherit: list[int] | None = None) -> Program:
    return Program(
        name=name,
        argv=[sys.executable, str(settings.BASE_DIR / "manage.py"), *words],
        stop_seconds=_STOP_SECONDS[name.partition("-")[0]],
        inherit=inherit or [],
    )


def _become_supervisor(plan: Plan, *, keep: list[int]) -> None:
    """Go on as the small program: the same process id, and these descriptors."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w", encoding="utf-8") as pipe:
        json.dump(dataclasses.asdict(plan), pipe, default=str)
    for descriptor in (reader, *keep):
        os.set_inheritable(descriptor, True)
    program = str(supervisor.__file__)
    # Isolated and without site-packages: quick, and smaller by a half.
    os.execv(sys.executable, [sys.executable, "-I", "-S", program, str(reader)])  # noqa: S606
