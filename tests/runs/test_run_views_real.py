"""The submit and run pages of a running portal, with jobs that really run."""

import io
import json
import uuid
import zipfile
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from urllib.parse import quote

import httpx
import pytest

from tests.runs.sources import tarred, zipped
from tests.services.portal import Portal
from tests.services.runs import SubmittedRun, submit, upload
from tests.waiting import eventually

_PACKINGS = ("gz", "bz2", "xz")
_HOSTILE = (
    "",
    "two words",
    'it\'s "quoted"',
    "line one\nline two\r\n\ttabbed",
    "; rm -rf ~ && echo gone",
    "$(id) `id` ${HOME} $HOME !! *",
    "\\ \\n %s {0}",
    "--flag=日本 🦊",
    "<script>alert(1)</script>",
    "-",
)
_TELL = """
import json, os, pathlib, sys
told = {"arguments": sys.argv[1:], "variable": os.environ["TEXT"]}
pathlib.Path("outputs/told.json").write_text(json.dumps(told))
"""
_WRITER = """
import os, pathlib, time
outputs = pathlib.Path("outputs")
(outputs / "first.html").write_text("<script>alert(1)</script>")
os.symlink("/etc/passwd", "outputs/link.txt")
os.symlink("/etc", "outputs/folder")
os.mkfifo("outputs/pipe")
for name in (b"\\xff.bin", b"line\\nbreak.txt", "日本.txt".encode()):
    with open(b"outputs/" + name, "wb") as file:
        file.write(b"odd " + name)
while not pathlib.Path("go").exists():
    time.sleep(0.05)
(outputs / "last.txt").write_text("0123456789")
"""
_STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def client(portal: Portal) -> httpx.Client:
    return portal.sign_in()


def page_of(client: httpx.Client, run: SubmittedRun, path: str = "") -> str:
    answer = client.get(f"/runs/{run.run_id}/{path}")
    assert answer.status_code == 200, answer.text[:2000]
    return unescape(answer.text)


def output_of(
    client: httpx.Client, run: SubmittedRun, name: str | bytes, **headers: str
) -> httpx.Response:
    address = f"/runs/{run.run_id}/outputs/file/?name={quote(name)}"
    return client.get(address, headers=headers)


def test_arguments_reach_the_script_as_they_were_typed(
    portal: Portal, client: httpx.Client
) -> None:
    variable = {"variables-name": "TEXT", "variables-value": "a 'b'\n$(id)"}
    run = submit(portal, client, script=_TELL, arguments=_HOSTILE, **variable)
    assert run.wait_for_end() == "Completed"
    told = json.loads(run.output("outputs/told.json"))
    assert told["arguments"] == [*_HOSTILE]
    assert told["variable"] == "a 'b'\n$(id)"


def test_an_archive_of_any_kind_is_taken(client: httpx.Client) -> None:
    files = {"train.py": b"print(1)", "data/a.csv": b"1,2"}
    archives = {f"source.tar.{kind}": tarred(files, kind) for kind in _PACKINGS}
    archives |= {"source.tar": tarred(files), "source.zip": zipped(files)}
    answers = {
        name: client.post(f"/runs/snapshots/?name={name}", content=data)
        for name, data in archives.items()
    }
    told = {name: answer.text[:200] for name, answer in answers.items()}
    assert {answer.status_code for answer in answers.values()} == {200}, told
    assert len({answer.json()["snapshot"] for answer in answers.values()}) == 1


def test_many_clicks_at_once_make_one_run(portal: Portal, client: httpx.Client) -> None:
    snapshot, token = upload(client, {"train.py": "print(1)"}), str(uuid.uuid4())

    def click(_: int) -> str:
        return submit(portal, client, snapshot=snapshot, token=token).run_id

    with ThreadPoolExecutor(6) as clicks:
        runs = set(clicks.map(click, range(6)))
    assert len(runs) == 1
    assert SubmittedRun(portal, runs.pop()).wait_for_end() == "Completed"


def test_outputs_appear_while_the_script_runs(
    portal: Portal, client: httpx.Client
) -> None:
    run = submit(portal, client, script=_WRITER)
    eventually(
        lambda: "first.html" in page_of(client, run, "outputs/"), "the first output"
    )
    assert run.status == "Running"
    assert "last.txt" not in page_of(client, run, "outputs/")
    (portal.data / "jobs" / run.run_id / "work" / "go").touch()
    assert run.wait_for_end() == "Completed"
    listed = page_of(client, run, "outputs/")
    for shown in ("last.txt", r"\xff.bin", r"line\nbreak.txt", "日本.txt"):
        assert shown in listed
    for hidden in ("link.txt", "passwd", "pipe"):
        assert hidden not in listed
    assert output_of(client, run, b"outputs/\xff.bin").content == b"odd \xff.bin"
    names = ("link.txt", "folder/passwd", "folder", "pipe", "../../job.json")
    for name in names:
        assert output_of(client, run, f"outputs/{name}").status_code == 404, name
    html = output_of(client, run, "outputs/first.html")
    assert html.headers["Content-Disposition"].startswith("attachment")
    assert html.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    part = output_of(client, run, "outputs/last.txt", Range="bytes=3-5")
    assert (part.status_code, part.content) == (206, b"345")
    head = client.head(f"/runs/{run.run_id}/outputs/file/?name=outputs/last.txt")
    assert (head.headers["Content-Length"], head.content) == ("10", b"")
    whole = client.get(f"/runs/{run.run_id}/outputs/zip/").content
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        assert archive.testzip() is None
        kept = {archive.read(entry) for entry in archive.infolist()}
    assert {b"0123456789", b"odd \xff.bin", b"odd line\nbreak.txt"} <= kept
    assert not any(content.startswith(b"root:") for content in kept)


def test_a_cancel_is_told_from_the_first_click_to_the_receipt(
    portal: Portal, client: httpx.Client
) -> None:
    run = submit(portal, client, script=_STUBBORN, grace="1s")
    eventually(lambda: b"ready" in run.log(), "the script runs")
    htmx = {"HX-Request": "true"}

    def cancel() -> str:
        answer = client.post(f"/runs/{run.run_id}/cancel/", headers=htmx)
        return unescape(answer.text)

    assert "SIGTERM is sent to all its processes." in cancel()
    assert "is being canceled already; nothing was changed." in cancel()
    assert run.wait_for_end() == "Canceled"
    assert "has ended already; nothing was changed." in cancel()
    page = page_of(client, run, "?tab=overview")
    for said in ("Receipt", "SIGTERM", "SIGKILL", "none is left"):
        assert said in page
    assert "checksum matches" in page_of(client, run, "log-check/")


def test_the_example_runs_by_one_click(portal: Portal, client: httpx.Client) -> None:
    page = client.post("/runs/new/example/")
    run = SubmittedRun(portal, str(page.url).rstrip("/").rpartition("/")[2])
    assert page.status_code == 200
    eventually(lambda: b"images to learn from" in run.log(), "it has read the digits")
    client.post(f"/runs/{run.run_id}/cancel/")
    assert run.wait_for_end() == "Canceled"
