"""Connections that break off at any byte of an upload, against a real portal."""

import hashlib
import json
import random
import socket
import struct
from pathlib import Path

import httpx
import pytest

from tests.runs.sources import tarred
from tests.services.portal import Portal
from tests.services.runs import zipped
from tests.waiting import eventually

_OBJECTS = "/runs/snapshots/objects/"
_CUTS = 12


@pytest.fixture(scope="module")
def client(portal: Portal) -> httpx.Client:
    return portal.sign_in()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def break_off(client: httpx.Client, url: str, body: bytes, after: int) -> bytes:
    """Send a request up to so many bytes of its body, then be gone; its answer, if all
    was sent.

    By turns as a process that was killed, and as a network that was.
    """
    request = client.build_request("POST", url, content=body)
    for hook in client.event_hooks["request"]:
        hook(request)
    lines = [f"POST {request.url.raw_path.decode()} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    address = (request.url.host, request.url.port or 80)
    with socket.create_connection(address) as connection:
        if after % 2:
            reset = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        head = "\r\n".join([*lines, "", ""]).encode()
        connection.sendall(head + body[:after])
        return b"" if after < len(body) else connection.recv(1000)


def objects(portal: Portal) -> dict[str, Path]:
    folder = portal.data / "objects"
    paths = folder.glob("??/*")
    return {path.parent.name + path.name: path for path in paths}


def nothing_half(portal: Portal) -> bool:
    """Whether each object is what its name says, and nothing else is there."""
    for name, path in objects(portal).items():
        assert sha256(path.read_bytes()) == name
    half = [*(portal.data / "objects" / "new").glob("*")]
    return not half and not [*(portal.data / "uploads").glob("*")]


def test_a_large_file_goes_on_after_each_break(
    portal: Portal, client: httpx.Client
) -> None:
    chance = random.Random(1)
    data, size = chance.randbytes(900_000), 150_000
    url = f"{_OBJECTS}{sha256(data)}/?size={len(data)}"
    offset = 0
    while offset < len(data):
        piece = data[offset : offset + size]
        for _ in range(2):
            cut = chance.randrange(len(piece))
            break_off(client, f"{url}&offset={offset}", piece, cut)
        assert client.get(url).json() == {"received": offset}
        answer = client.post(f"{url}&offset={offset}", content=piece)
        offset = answer.json()["received"]
    assert objects(portal)[sha256(data)].read_bytes() == data
    eventually(lambda: nothing_half(portal), "nothing is left of what broke off")


def test_many_small_files_are_there_whole_or_not(
    portal: Portal, client: httpx.Client
) -> None:
    chance = random.Random(2)
    files = [chance.randbytes(chance.randrange(20_000)) for _ in range(30)]
    body = tarred({sha256(data): data for data in files})
    for _ in range(_CUTS):
        break_off(client, _OBJECTS, body, chance.randrange(len(body)))
    eventually(lambda: nothing_half(portal), "nothing is left of what broke off")
    listed = [
        {"path": f"{n}.py", "size": len(data), "sha256": sha256(data)}
        for n, data in enumerate(files)
    ]
    offer = client.post("/runs/snapshots/offer/", content=json.dumps(listed)).json()
    assert len(offer["missing"]) == len(files)
    assert break_off(client, _OBJECTS, body, len(body)).startswith(b"HTTP/1.1 200")
    whole = client.post("/runs/snapshots/offer/", content=json.dumps(listed)).json()
    assert whole["missing"] == []
    assert whole["snapshot"] == whole["manifest"]


def test_a_part_of_an_archive_becomes_no_snapshot(
    portal: Portal, client: httpx.Client
) -> None:
    chance = random.Random(3)
    archive = zipped({"train.py": "print(1)", "data": chance.randbytes(300_000)})
    before = objects(portal)
    url = "/runs/snapshots/?name=a.zip"
    for _ in range(_CUTS):
        break_off(client, url, archive, chance.randrange(len(archive)))
    eventually(lambda: nothing_half(portal), "nothing is left of what broke off")
    assert objects(portal) == before
    assert client.post(url, content=archive).json()["snapshot"]
