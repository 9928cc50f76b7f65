"""A server on this machine that has a folder of the tests, for who signs in."""

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@contextmanager
def serve_folder(folder: Path, account: str) -> Iterator[str]:
    """Its host and port; `account` is NAME:PASSWORD, which all requests need."""
    wanted = f"Basic {base64.b64encode(account.encode()).decode()}"

    class Handler(SimpleHTTPRequestHandler):
        def send_head(self) -> object:  # type: ignore[override]
            if self.headers.get("Authorization") == wanted:
                return super().send_head()
            self.send_response(HTTPStatus.UNAUTHORIZED)
            self.send_header("WWW-Authenticate", 'Basic realm="tests"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None

        def log_message(self, *args: object) -> None:
            """Not into the output of the tests."""

    handler = partial(Handler, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
