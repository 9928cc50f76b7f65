"""The web process."""

import socket
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

# Browsers send small requests to follow a log; the log itself goes the other way.
_MAX_MESSAGE = 64 * 1024


class Command(BaseCommand):
    help = "Serve the pages and sockets; `serve` starts this one by itself."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--fd", type=int, help="an open socket to listen on")

    def handle(self, *args: Any, fd: int | None, **options: Any) -> None:
        config = uvicorn.Config(
            "aml_portal.asgi:application",
            host=settings.PORTAL_HOST,
            port=settings.PORTAL_PORT,
            loop="uvloop",
            http="httptools",
            ws="websockets-sansio",
            ws_max_size=_MAX_MESSAGE,
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=settings.HTTPS,
            forwarded_allow_ips=settings.PROXIES,
            timeout_graceful_shutdown=3,
        )
        sockets = None if fd is None else [socket.socket(fileno=fd)]
        uvicorn.Server(config).run(sockets=sockets)
