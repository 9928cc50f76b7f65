"""A package index on this machine, which serves a folder of the tests."""

import hashlib
import html
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@contextmanager
def serve_index(
    folder: Path,
    yanked: Mapping[str, str] = {},
    gate: threading.Event | None = None,
) -> Iterator[str]:
    """The address of an index of the folder's files; `yanked` has reasons by file.

    Wheels themselves, which only an installation needs, wait for the `gate`.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, _, name = self.path.strip("/").partition("/")
            wheel, dot, _ = name.partition(".whl.metadata")
            if kind == "files" and dot and (folder / f"{wheel}.whl").is_file():
                self._answer(_metadata(folder / f"{wheel}.whl"), "text/plain")
            elif kind == "files" and _passes(gate) and (folder / name).is_file():
                self._answer((folder / name).read_bytes(), "application/zip")
            elif kind == "simple" and (links := _links(folder, name, yanked)):
                self._answer(links.encode(), "text/html")
            else:
                self.send_error(404)

        do_HEAD = do_GET

        def _answer(self, data: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            """Not into the output of the tests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/simple"
    finally:
        server.shutdown()
        server.server_close()


def _links(folder: Path, package: str, yanked: Mapping[str, str]) -> str:
    return "".join(
        f'<a href="/files/{path.name}#sha256={_digest(path)}" data-core-metadata="true"'
        f"{_yank(path.name, yanked)}>{path.name}</a>\n"
        for path in sorted(folder.iterdir())
        if path.name.split("-")[0].replace("_", "-") == package
    )


def _yank(name: str, yanked: Mapping[str, str]) -> str:
    if name not in yanked:
        return ""
    return f' data-yanked="{html.escape(yanked[name])}"'


def _passes(gate: threading.Event | None) -> bool:
    return gate is None or gate.wait(60)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _metadata(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        return archive.read(next(each for each in names if each.endswith("/METADATA")))
