"""The log over HTTP: lines, search, and the download with its parts."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.test import AsyncClient
from pytest_django import Settings

from computes.models import ComputeTarget
from environments.models import Environment
from runs.models import Experiment, Run, Snapshot
from runs.status import RunStatus

pytestmark = pytest.mark.django_db

CONTENT = b"first\nsecond \xe2\x82\xac \xff\r42%\n\nlast without newline"

Get = Callable[..., "Answer"]


class Answer:
    """A response with its body read, streamed or not."""

    def __init__(self, response: Any, body: bytes) -> None:
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self.body = body
        self.json: Any = (
            response.json() if "json" in self.headers["Content-Type"] else {}
        )


@pytest.fixture
def run(tmp_path: Path, settings: Settings) -> Run:
    settings.RUNS_FOLDER = tmp_path
    owner = User.objects.create_user("ada")
    return Run.objects.create(
        run_id="digits_1598_ab12",
        experiment=Experiment.objects.create(name="digits", owner=owner),
        number=1,
        owner=owner,
        snapshot=Snapshot.objects.create(id="0" * 64, files=1, bytes=1),
        target=ComputeTarget.objects.create(name="box", kind="local"),
        environment=Environment.objects.create(name="python"),
        script_run_configuration={"script": "train.py", "arguments": []},
        status=RunStatus.RUNNING,
    )


@pytest.fixture
def log(run: Run, tmp_path: Path) -> Path:
    path = tmp_path / run.run_id / "logs/std_log.txt"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def get(run: Run) -> Get:
    client = AsyncClient()
    client.force_login(run.owner)

    async def ask(method: str, what: str, query: str, headers: Any) -> Answer:
        url = f"/runs/{run.run_id}/log/{what}{query}"
        response: Any = await client.generic(method, url, headers=headers)
        if response.streaming:
            body = b"".join([piece async for piece in response])
        else:
            body = response.content
        return Answer(response, body)

    def get(what: str, query: str = "", method: str = "GET", **headers: str) -> Answer:
        asked: Answer = async_to_sync(ask)(method, what, query, headers)
        return asked

    return get


@pytest.mark.usefixtures("log")
def test_lines_come_with_their_offsets_and_the_size_of_the_log(get: Get) -> None:
    answer = get("lines", "?start=1&count=2").json
    assert answer == {
        "start": 1,
        "lines": [
            {"o": 6, "n": 16, "t": "second € \ufffd\r42%"},
            {"o": 23, "n": 0, "t": ""},
        ],
        "total": 4,
        "size": len(CONTENT),
        "final": False,
    }


@pytest.mark.usefixtures("log")
def test_a_negative_start_counts_from_the_end(get: Get, run: Run) -> None:
    Run.objects.update(status=RunStatus.COMPLETED)
    answer = get("lines", "?start=-1").json
    assert (answer["start"], answer["final"]) == (3, True)
    assert [line["t"] for line in answer["lines"]] == ["last without newline"]
    assert get("lines", "?start=-99").json["start"] == 0


def test_a_run_that_has_printed_nothing_has_an_empty_log(get: Get) -> None:
    answer = get("lines").json
    assert (answer["lines"], answer["total"], answer["size"]) == ([], 0, 0)
    assert get("search", "?q=x").json == {"hits": [], "next": None}
    raw = get("raw")
    assert (raw.status, raw.body, raw.headers["Content-Length"]) == (200, b"", "0")


def test_both_ends_of_a_cut_line_are_sent(get: Get, log: Path) -> None:
    log.write_bytes(b"a" * 20_000 + b"z" * 20_000 + b"\nnext")
    cut, after = get("lines").json["lines"]
    assert (cut["n"], cut["t"], cut["e"]) == (40_000, "a" * 8192, "z" * 8192)
    assert after == {"o": 40_001, "n": 4, "t": "next"}


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize("query", ["?start=x", "?count=1.5", "?start=", "?start=²"])
def test_what_is_no_number_is_refused_with_a_sentence(get: Get, query: str) -> None:
    answer = get("lines", query)
    assert answer.status == 400
    assert answer.json["error"].endswith(".")


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize(
    ("query", "lines"),
    [
        ("?q=SECOND", [1]),
        ("?q=SECOND&case=1", []),
        ("?q=t", [0, 3]),
        ("?q=t&from=5", [3]),
        ("?q=", []),
    ],
)
def test_search_finds_lines(get: Get, query: str, lines: list[int]) -> None:
    answer = get("search", query).json
    assert [hit["line"] for hit in answer["hits"]] == lines
    assert answer["next"] is None


@pytest.mark.usefixtures("log")
def test_a_hit_has_the_offset_of_the_match_and_the_text_around(get: Get) -> None:
    (hit,) = get("search", "?q=without").json["hits"]
    assert CONTENT[hit["o"] :].startswith(b"without")
    assert hit["t"] == "last without newline"


@pytest.mark.usefixtures("log")
def test_the_download_is_the_log_byte_for_byte_and_never_a_page(get: Get) -> None:
    answer = get("raw")
    assert (answer.status, answer.body) == (200, CONTENT)
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert int(answer.headers["Content-Length"]) == len(CONTENT)


@pytest.mark.usefixtures("log")
def test_the_head_of_the_download_has_no_body(get: Get) -> None:
    answer = get("raw", method="HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["Content-Length"]) == len(CONTENT)


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-0", slice(0, 1)),
        ("bytes=6-11", slice(6, 12)),
        ("bytes=6-", slice(6, None)),
        ("bytes=-7", slice(-7, None)),
        ("bytes=0-99999", slice(0, None)),
        ("bytes=-99999", slice(0, None)),
    ],
)
def test_a_range_is_answered_with_that_part(get: Get, asked: str, part: slice) -> None:
    answer = get("raw", range=asked)
    start, stop, _ = part.indices(len(CONTENT))
    assert (answer.status, answer.body) == (206, CONTENT[part])
    expected = f"bytes {start}-{stop - 1}/{len(CONTENT)}"
    assert answer.headers["Content-Range"] == expected
    assert int(answer.headers["Content-Length"]) == stop - start


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize(
    "asked", ["bytes=2-1", "bytes=-", "bytes=0-1,3-4", "lines=1-2"]
)
def test_a_range_that_is_not_understood_gives_the_whole(get: Get, asked: str) -> None:
    answer = get("raw", range=asked)
    assert (answer.status, answer.body) == (200, CONTENT)


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize("asked", [f"bytes={len(CONTENT)}-", "bytes=-0"])
def test_a_range_beyond_the_end_is_refused(get: Get, asked: str) -> None:
    answer = get("raw", range=asked)
    assert answer.status == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


@pytest.mark.parametrize("what", ["lines", "search?q=x", "raw"])
def test_a_stranger_and_a_wrong_run_see_nothing(run: Run, what: str) -> None:
    client = AsyncClient()
    url = f"/runs/{run.run_id}/log/{what}"
    assert async_to_sync(client.get)(url).status_code == 302
    client.force_login(run.owner)
    assert async_to_sync(client.get)("/runs/none/log/" + what).status_code == 404
