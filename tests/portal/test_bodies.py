"""Nobody fills the portal's disk with what a request brings."""

import asyncio
import resource
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import ClassVar, cast

import httpx
import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile
from django.test import RequestFactory

from aml_portal.bodies import Message, Pages
from tests.services.portal import Portal
from tests.services.runs import zipped
from tests.waiting import eventually

_MB = 1024 * 1024
_LIMIT = 16_000_000
_UPLOAD = "/runs/snapshots/?name=source.zip"
_JSON = {"Accept": "application/json"}


@pytest.fixture(scope="module")
def portal(prepared_data: Path) -> Iterator[Portal]:
    portal = Portal(
        prepared_data,
        AML_PORTAL_SNAPSHOT_MAX_BYTES=_LIMIT,
        AML_PORTAL_SNAPSHOT_MAX_FILES=9,
    )
    portal.start()
    yield portal
    portal.remove()


@pytest.fixture(scope="module")
def client(portal: Portal) -> httpx.Client:
    return portal.sign_in()


def kept(portal: Portal) -> list[str]:
    """The files of uploads that the web process has open."""
    uploads = str(portal.data / "uploads")
    descriptors = Path(f"/proc/{portal.pids()['web']}/fd").iterdir()
    return [
        link
        for each in descriptors
        if (link := str(each.readlink())).startswith(uploads)
    ]


def in_pieces(size: int, look: Callable[[], object] = lambda: None) -> Iterator[bytes]:
    """A body whose size is not told beforehand; `look` is called before its end."""
    for _ in range(size // _MB):
        yield bytes(_MB)
    look()
    yield b"end"


def test_a_stranger_s_upload_is_not_kept(portal: Portal) -> None:
    looks: list[list[str]] = []
    piecemeal = in_pieces(20 * _MB, lambda: looks.append(kept(portal)))
    for body in (bytes(20 * _MB), piecemeal):
        answer = portal.client().post(_UPLOAD, content=body, headers=_JSON)
        assert answer.status_code == 401
        assert answer.json()["error"] == "You are not signed in any more."
    assert looks == [[]]


def test_a_session_that_was_ended_is_a_stranger_s(portal: Portal) -> None:
    client = portal.sign_in()
    cookies = dict(client.cookies)
    client.post("/sign-out/")
    again = httpx.Client(base_url=portal.url, cookies=cookies, trust_env=False)
    assert (
        again.post(_UPLOAD, content=bytes(20 * _MB), headers=_JSON).status_code == 401
    )


@pytest.mark.parametrize("path", ["/sign-in/", "/runs/bulk/", "/nowhere/"])
def test_a_form_is_small(portal: Portal, client: httpx.Client, path: str) -> None:
    for body in (bytes(4 * _MB), in_pieces(4 * _MB)):
        answer = client.post(path, content=body)
        assert answer.status_code == 413
        assert answer.text.startswith("This is larger than 4.0 MB")
    eventually(lambda: not kept(portal), "nothing of it is left")


def test_an_upload_that_does_not_end_is_cut_off(client: httpx.Client) -> None:
    answer = client.post(_UPLOAD, content=in_pieces(40 * _MB), headers=_JSON)
    assert answer.status_code == 413
    assert "larger than 16 MB" in answer.json()["error"]
    assert answer.json()["advice"] == "Leave out what the script does not need."


def test_a_large_upload_lies_in_its_folder_until_it_is_through(
    portal: Portal, client: httpx.Client
) -> None:
    archive = zipped({"train.py": "print(1)", "data": bytes(14 * _MB)})
    looks: list[list[str]] = []

    def slowly() -> Iterator[bytes]:
        yield archive[: 10 * _MB]
        eventually(lambda: kept(portal), "the upload is on the disk")
        looks.append(kept(portal))
        yield archive[10 * _MB :]

    answer = client.post(_UPLOAD, content=slowly(), headers=_JSON)
    assert answer.status_code == 200, answer.text
    assert len(looks[0]) == 1
    eventually(lambda: not kept(portal), "nothing of it is left")


@pytest.mark.parametrize("length", ["-1", "x", "9" * 18, "9" * 40, ""])
def test_an_odd_length_is_refused(portal: Portal, length: str) -> None:
    url = httpx.URL(portal.url)
    with closing(HTTPConnection(url.host, url.port)) as connection:
        connection.putrequest("POST", _UPLOAD)
        connection.putheader("Content-Length", length)
        connection.putheader("Expect", "100-continue")
        connection.endheaders()
        assert 400 <= connection.getresponse().status < 500


# The second is full only when the last few bytes, which are held back, are written.
@pytest.mark.parametrize("size", [12 * _MB, 5 * _MB + 100])
def test_a_full_disk_is_told(portal: Portal, client: httpx.Client, size: int) -> None:
    web = portal.pids()["web"]
    _, hard = resource.prlimit(web, resource.RLIMIT_FSIZE)
    resource.prlimit(web, resource.RLIMIT_FSIZE, (5 * _MB, hard))
    try:
        answer = client.post(_UPLOAD, content=bytes(size), headers=_JSON)
    finally:
        resource.prlimit(web, resource.RLIMIT_FSIZE, (hard, hard))
    assert answer.status_code == 507
    assert answer.json()["error"] == "The portal's disk is full, and nothing was kept."
    # Who has sent everything is not waited for.
    assert answer.elapsed.total_seconds() < 5
    eventually(lambda: not kept(portal), "nothing of it is left")


class _Watched(tempfile.SpooledTemporaryFile[bytes]):
    """Knows the threads that brought it to the disk and used it there."""

    threads: ClassVar[list[threading.Thread]] = []

    def rollover(self) -> None:
        self.threads.append(threading.current_thread())
        super().rollover()

    def seek(self, *where: int) -> int:
        self.threads.append(threading.current_thread())
        return super().seek(*where)


# The first is on the disk with its last piece only.
@pytest.mark.parametrize("size", [2_900_000, 5 * _MB + 100])
def test_a_slow_disk_holds_up_no_other_request(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(_Watched, "threads", [])
    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", _Watched)
    parts = [bytes(size)[start : start + 65536] for start in range(0, size, 65536)]
    messages = [
        {"type": "http.request", "body": part, "more_body": part is not parts[-1]}
        for part in parts
    ]

    async def receive() -> Message:
        return messages.pop(0)

    with asyncio.run(Pages().read_body(receive)) as body:
        assert len(body.read()) == size
    assert len(_Watched.threads) == 2
    assert threading.main_thread() not in _Watched.threads


def test_the_file_of_a_form_lies_with_the_uploads(rf: RequestFactory) -> None:
    archive = SimpleUploadedFile("source.zip", bytes(3 * _MB))
    request = rf.post("/runs/new/", {"archive": archive})
    received = cast("TemporaryUploadedFile", request.FILES["archive"])
    with received:
        folder = Path(received.temporary_file_path()).parent
        assert folder == settings.UPLOADS_FOLDER
