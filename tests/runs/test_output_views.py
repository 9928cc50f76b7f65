"""Files of a run over HTTP: hostile names and contents do no harm."""

import io
import os
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from runs.file_tree import DRAWN_WHOLE, MOST_PER_FOLDER
from runs.models import Run
from tests import factories
from tests.runs.answers import body_of, text_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_server")]

_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 8, 8) + b"\x08\x02\0\0\0"
_HTML = b"<script>alert(1)</script>"
_SVG = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"
_ODD_NAMES = (
    b"two words.txt",
    b"\xff\xfe.txt",
    b"line\nbreak.txt",
    b'quote".txt',
    b"<img src=x onerror=alert(1)>.txt",
    b"percent%2F..%2e.txt",
    "\u202egnp.exe".encode(),
    "日本 🦊.txt".encode(),
    b"-rf",
    b"back\\slash.txt",
)


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(factories.person())
    return client


@pytest.fixture
def run(settings: Settings, tmp_path: Path) -> Run:
    settings.RUNS_FOLDER = tmp_path
    snapshot = factories.snapshot(
        {"train.py": "print(1)", "README.md": "# Hi", "deep/er/x.bin": b"\0\1"}
    )
    return factories.submit(snapshot=snapshot)


@pytest.fixture
def files(run: Run, tmp_path: Path) -> Path:
    """The folder in which the mirror has what the script wrote."""
    folder = tmp_path / run.run_id / "files"
    (folder / "outputs").mkdir(parents=True)
    return folder


def write(files: Path, content: bytes, name: str = "outputs/file") -> None:
    path = files / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def ask(client: Client, run: Run, name: bytes, show: str = "", **headers: str) -> Any:
    address = f"{run.get_absolute_url()}outputs/file/?name={quote(name)}&as={show}"
    return client.get(address, headers=headers)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.html", _HTML),
        ("a.svg", _SVG),
        ("a.xhtml", b"<html xmlns='http://www.w3.org/1999/xhtml'>" + _HTML),
        ("a.js", b"alert(1)"),
        ("a.pdf", b"%PDF-1.7 \0"),
        ("a.png", _PNG),
    ],
)
def test_a_download_is_never_shown_by_the_browser(
    client: Client, run: Run, files: Path, name: str, content: bytes
) -> None:
    write(files, content, f"outputs/{name}")
    answer = ask(client, run, f"outputs/{name}".encode())
    assert body_of(answer) == content
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["Content-Length"] == str(len(content))
    assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.html", _HTML),
        ("a.svg", _SVG),
        ("a.json", b'{"a": "</pre><script>alert(1)</script>"}'),
        ("a.md", b"<script>alert(1)</script>\n[x](javascript:alert(1))"),
        ("a.csv", b'a,b\n"<script>alert(1)</script>",2\n'),
        ("a.txt", b"</pre></textarea><script>alert(1)</script>"),
    ],
)
def test_a_preview_shows_markup_as_text(
    client: Client, run: Run, files: Path, name: str, content: bytes
) -> None:
    write(files, content, f"outputs/{name}")
    for answer in (
        ask(client, run, f"outputs/{name}".encode(), "preview"),
        client.get(f"{run.get_absolute_url()}?tab=outputs&file=outputs/{name}"),
    ):
        assert answer.status_code == 200
        assert b"<script>alert" not in answer.content
        assert b"<svg xmlns" not in answer.content
        assert "alert(1)" in text_of(answer)


def test_only_pixels_are_sent_as_a_picture(
    client: Client, run: Run, files: Path
) -> None:
    write(files, _PNG, "outputs/plot.txt")
    shown = text_of(ask(client, run, b"outputs/plot.txt", "preview"))
    assert "name=outputs/plot.txt&as=image" in shown
    picture = ask(client, run, b"outputs/plot.txt", "image")
    assert body_of(picture) == _PNG
    assert picture.headers["Content-Type"] == "image/png"
    assert picture.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in picture.headers["Content-Security-Policy"]
    bomb = _PNG[:16] + struct.pack(">II", 90_000, 90_000) + _PNG[24:]
    for content in (_SVG, _HTML, b"", bomb):
        write(files, content, "outputs/no.png")
        assert ask(client, run, b"outputs/no.png", "image").status_code == 404
    assert "<img" not in text_of(ask(client, run, b"outputs/no.png", "preview"))


def test_a_preview_of_a_huge_file_reads_its_beginning(
    client: Client, run: Run, files: Path
) -> None:
    write(files, b"", "outputs/huge.json")
    os.truncate(files / "outputs/huge.json", 5 * 1024**3)
    with (files / "outputs/huge.json").open("r+b") as file:
        file.write(b"[" + b"1, " * 600_000)
    shown = text_of(ask(client, run, b"outputs/huge.json", "preview"))
    assert "Only the first" in shown
    assert "5.4 GB" in shown
    assert len(shown) < 4_000_000


@pytest.mark.parametrize(
    "name",
    [
        b"",
        b".",
        b"outputs",
        b"outputs/",
        b"outputs/missing",
        b"../exit.json",
        b"outputs/../../exit.json",
        b"outputs/./file",
        b"outputs//file",
        b"/etc/passwd",
        b"outputs/\0file",
        b"files/outputs/file",
        b"exit.json",
        b"outputs/link",
        b"outputs/to-folder",
        b"outputs/folder",
        b"outputs/" + b"x" * 5000,
    ],
)
@pytest.mark.parametrize("show", ["", "preview", "image"])
def test_nothing_but_the_outputs_is_sent(
    client: Client, run: Run, files: Path, name: bytes, show: str
) -> None:
    write(files, b"content", "outputs/file")
    write(files.parent, b"{}", "exit.json")
    (files / "outputs" / "link").symlink_to("/etc/passwd")
    (files / "outputs" / "to-folder").symlink_to("/etc")
    (files / "outputs" / "folder").mkdir()
    answer = ask(client, run, name, show)
    assert answer.status_code == 404


@pytest.mark.parametrize("name", _ODD_NAMES)
def test_an_odd_name_is_listed_shown_and_sent(
    client: Client, run: Run, files: Path, name: bytes
) -> None:
    whole = b"outputs/" + name
    write(files, b"content of it", os.fsdecode(whole))
    assert body_of(ask(client, run, whole)) == b"content of it"
    assert "content of it" in text_of(ask(client, run, whole, "preview"))
    for page in ("?tab=outputs", f"?tab=outputs&file={quote(whole)}", "outputs/"):
        answer = client.get(run.get_absolute_url() + page)
        assert f"name={quote(whole)}" in text_of(answer)
        assert b"<img src=x" not in answer.content
        assert "\u202e" not in answer.content.decode()


def test_a_zip_has_every_output_under_its_name(
    client: Client, run: Run, files: Path
) -> None:
    for number, name in enumerate(_ODD_NAMES):
        write(files, b"%d" % number, os.fsdecode(b"outputs/" + name))
    (files / "outputs" / "link").symlink_to("/etc/passwd")
    answer = client.get(f"{run.get_absolute_url()}outputs/zip/")
    assert answer.headers["Content-Type"] == "application/zip"
    assert f"{run.run_id}_outputs.zip" in answer.headers["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(body_of(answer))) as archive:
        assert archive.testzip() is None
        contents = sorted(
            archive.read(entry) for entry in archive.infolist() if not entry.is_dir()
        )
        names = archive.namelist()
    assert contents == sorted(b"%d" % number for number in range(len(_ODD_NAMES)))
    assert "outputs/two words.txt" in names
    assert not [name for name in names if name.startswith("/") or ".." in name[:3]]


def test_a_zip_of_nothing_is_empty(client: Client, run: Run) -> None:
    answer = client.get(f"{run.get_absolute_url()}outputs/zip/")
    with zipfile.ZipFile(io.BytesIO(body_of(answer))) as archive:
        assert archive.namelist() == []


@pytest.mark.parametrize(
    ("asked", "status", "body", "said"),
    [
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-2", 206, b"89", "bytes 8-9/10"),
        ("bytes=0-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=4-2", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
        ("bytes=1-2,4-5", 200, b"0123456789", None),
    ],
)
def test_a_download_goes_on_where_it_broke_off(
    client: Client,
    run: Run,
    files: Path,
    asked: str,
    status: int,
    body: bytes,
    said: str | None,
) -> None:
    write(files, b"0123456789", "outputs/file")
    answer = ask(client, run, b"outputs/file", Range=asked)
    assert answer.status_code == status
    assert body_of(answer) == body
    assert answer.headers.get("Content-Range") == said
    if status != 416:
        assert answer.headers["Content-Length"] == str(len(body))


def test_what_a_download_has_is_told_without_it(
    client: Client, run: Run, files: Path
) -> None:
    write(files, b"0123456789", "outputs/file")
    answer = client.head(f"{run.get_absolute_url()}outputs/file/?name=outputs/file")
    assert answer.headers["Content-Length"] == "10"
    assert answer.headers["Accept-Ranges"] == "bytes"


def test_the_most_telling_output_is_shown_first(
    client: Client, run: Run, files: Path
) -> None:
    write(files, b"noise", "outputs/a.txt")
    write(files, b'{"accuracy": 0.97}', "outputs/metrics.json")
    page = text_of(client.get(f"{run.get_absolute_url()}?tab=outputs"))
    assert '"accuracy": 0.97' in page
    gone = text_of(client.get(f"{run.get_absolute_url()}?tab=outputs&file=outputs/b"))
    assert "There is no such file, or not yet." in gone


def many(count: int) -> Iterator[str]:
    for number in range(count):
        yield f"outputs/f{number % 3}/{number:05}.txt"


def test_a_large_tree_is_drawn_by_folders(
    client: Client, run: Run, files: Path
) -> None:
    for name in many(DRAWN_WHOLE + 1):
        write(files, b"", name)
    whole = text_of(client.get(f"{run.get_absolute_url()}outputs/"))
    assert f"{DRAWN_WHOLE + 1:,} files" in whole
    assert "00000.txt" not in whole
    folder = f"{run.get_absolute_url()}outputs/?folder=outputs/f0"
    assert "00000.txt" in text_of(client.get(folder))
    opened = f"{run.get_absolute_url()}?tab=outputs&folder=outputs/f0"
    assert "00000.txt" in text_of(client.get(opened))
    missing = client.get(f"{run.get_absolute_url()}outputs/?folder=outputs/none")
    assert missing.status_code == 404


def test_a_folder_of_very_many_files_says_what_is_left_out(
    client: Client, run: Run, files: Path
) -> None:
    for number in range(MOST_PER_FOLDER + 5):
        write(files, b"", f"outputs/{number}.txt")
    page = text_of(client.get(f"{run.get_absolute_url()}outputs/?folder=outputs"))
    assert "5 more: download the zip to see them" in page


def test_a_very_deep_folder_can_be_shown(client: Client, run: Run, files: Path) -> None:
    name = "outputs/" + "d/" * 200 + "bottom.txt"
    write(files, b"deep down", name)
    assert client.get(f"{run.get_absolute_url()}?tab=outputs").status_code == 200
    page = text_of(client.get(f"{run.get_absolute_url()}?tab=outputs&file={name}"))
    assert "deep down" in page
    assert "bottom.txt" in page


def test_the_snapshot_is_shown_as_it_was_submitted(client: Client, run: Run) -> None:
    page = text_of(client.get(f"{run.get_absolute_url()}?tab=snapshot"))
    assert "print(1)" in page
    assert "3 files" in page
    address = f"{run.get_absolute_url()}snapshot/file/"
    assert body_of(client.get(f"{address}?name=deep/er/x.bin")) == b"\0\1"
    part = client.get(f"{address}?name=train.py", headers={"Range": "bytes=-3"})
    assert body_of(part) == b"(1)"
    assert "# Hi" in text_of(client.get(f"{address}?name=README.md&as=preview"))
    for name in ("", "none", "deep", "../train.py", "/train.py"):
        assert client.get(f"{address}?name={name}").status_code == 404
    answer = client.get(f"{run.get_absolute_url()}snapshot/zip/")
    with zipfile.ZipFile(io.BytesIO(body_of(answer))) as archive:
        assert archive.read("deep/er/x.bin") == b"\0\1"
