"""The diff of two snapshots over HTTP: the page, and the parts that it fetches."""

import re
import zipfile
from pathlib import Path
from urllib.parse import quote

import pytest
from django.conf import settings
from django.test import Client

from runs.diff_lines import MOST_LINES
from runs.diff_page import MOST_LISTED
from runs.models import Snapshot
from runs.snapshot_changes import snapshot_changes
from tests import factories
from tests.runs.answers import text_of
from tests.runs.sources import zip_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_server")]

_HTMX = {"HX-Request": "true"}
_ODD = "<img src=x onerror=alert(1)>\n\u202e.txt"
_PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360f8cfc0f01f0005000201a57a2ea80000000049454e44ae426082"
)
_CODE = "".join(f"value_{n} = {n}\n" for n in range(1, 61))
_OLD: dict[str, str | bytes] = {
    "train.py": _CODE,
    "gone.txt": "gone",
    "was/here.py": _CODE.replace("value", "name"),
    "model.bin": b"\0old",
    "plot.png": _PIXEL,
    "same.txt": "same",
}
_NEW: dict[str, str | bytes] = {
    "train.py": _CODE.replace("value_30 = 30", "value_30 = 31"),
    "came.txt": "came",
    "is/there.py": _CODE.replace("value", "name") + "more = 1\n",
    "model.bin": b"\0new",
    "plot.png": _PIXEL + b"\0",
    "same.txt": "same",
    _ODD: "odd",
}


@pytest.fixture
def client() -> Client:
    return factories.signed_in(factories.person())


@pytest.fixture
def old() -> Snapshot:
    return factories.snapshot(_OLD)


@pytest.fixture
def new() -> Snapshot:
    return factories.snapshot(_NEW)


def address(before: Snapshot, after: Snapshot, more: str = "") -> str:
    return f"/snapshots/{before.pk}/diff/{after.pk}/{more}"


def plain(page: str) -> str:
    """The text of a page, with single spaces."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", page))


def test_the_page_lists_what_changed_and_shows_how(
    client: Client, old: Snapshot, new: Snapshot
) -> None:
    answer = client.get(address(old, new))
    page = plain(text_of(answer))
    assert "7 files changed +4lines added \u22122lines removed" in page
    assert "moved was/here.py → is/there.py" in page
    assert "removed:value_30 = 30" in page
    assert "added:value_30 = 31" in page
    assert "26 equal lines" in page
    assert "not text" in page
    assert "same.txt" not in page
    assert b"<img src=x" not in answer.content
    assert "\u202e" not in answer.content.decode()


def test_equal_snapshots_say_so(client: Client, old: Snapshot) -> None:
    assert "The two snapshots are the same." in text_of(client.get(address(old, old)))


def test_the_sides_can_be_swapped(client: Client, old: Snapshot, new: Snapshot) -> None:
    page = client.get(address(old, new)).content.decode()
    assert f'href="{address(new, old)}?view=inline"' in page
    assert "removed:value_30 = 31" in plain(text_of(client.get(address(new, old))))


def test_both_pictures_are_shown(client: Client, old: Snapshot, new: Snapshot) -> None:
    page = text_of(client.get(address(old, new)))
    for snapshot in (old, new):
        image = f"/snapshots/{snapshot.pk}/file/?name=plot.png&as=image"
        assert f'src="{image}"' in page
        assert client.get(image).headers["Content-Type"] == "image/png"
    assert "as=image" not in re.sub(r"name=plot.png&as=image", "", page)


def test_a_view_is_chosen_by_the_address_and_remembered(
    client: Client, old: Snapshot, new: Snapshot
) -> None:
    assert "diff-split" not in text_of(client.get(address(old, new)))
    assert "diff-split" in text_of(client.get(address(old, new, "?view=split")))
    assert "diff-split" in text_of(client.get(address(old, new)))
    assert "diff-split" not in text_of(client.get(address(old, new, "?view=inline")))
    odd = client.get(address(old, new, "?view=%3Cscript%3E"))
    assert "diff-split" not in text_of(odd)
    assert "diff_view" not in odd.cookies


def test_white_space_is_ignored_when_asked(client: Client) -> None:
    old = factories.snapshot({"a.py": "if x:\n  y\n", "b": "1"})
    new = factories.snapshot({"a.py": "if x:\n    y\n", "b": "2"})
    page = plain(text_of(client.get(address(old, new, "?space=ignore"))))
    assert "Only white space differs." in page
    assert "2 files changed +1" in page
    assert "+2" in plain(text_of(client.get(address(old, new))))


def test_what_htmx_asks_for_is_the_diff_alone(
    client: Client, old: Snapshot, new: Snapshot
) -> None:
    there = {"HX-Current-URL": f"http://testserver{address(old, new)}"}
    elsewhere = {"HX-Current-URL": "http://testserver/runs/x/?tab=snapshot"}
    for headers, replaced in ((there, True), (elsewhere, False)):
        answer = client.get(
            address(old, new, "?view=split"), headers={**_HTMX, **headers}
        )
        assert "<html" not in text_of(answer)
        assert ("HX-Replace-Url" in answer.headers) == replaced


def test_files_beyond_the_first_are_fetched_when_opened(client: Client) -> None:
    names = [f"{n:02}.py" for n in range(50)]
    old = factories.snapshot(dict.fromkeys(names, _CODE))
    new = factories.snapshot(dict.fromkeys(names, _CODE.replace("= 9\n", "= 10\n")))
    page = client.get(address(old, new)).content.decode()
    assert page.count("<table") == 20
    assert page.count('hx-trigger="toggle once"') == 30
    assert address(old, new, "file/?view=inline&amp;name=49.py") in page
    assert "50 files changed" in plain(page)
    part = text_of(client.get(address(old, new, "file/?name=49.py"), headers=_HTMX))
    assert "<html" not in part
    assert "added:value_9 = 10" in plain(part)
    only = text_of(client.get(address(old, new, "?only=49.py")))
    assert only.count("<table") == 1
    assert "What differs in 49.py" in only


def test_so_many_files_are_listed_and_the_others_counted(client: Client) -> None:
    names = [f"{n:03}" for n in range(MOST_LISTED + 3)]
    old = factories.snapshot({"a": ""})
    new = factories.snapshot({"a": "", **dict.fromkeys(names, "1\n")})
    page = client.get(address(old, new)).content.decode()
    assert page.count('<summary class="diff-head"') == MOST_LISTED
    assert "503 files changed +500" in plain(page)
    assert "without the lines of 3 files" in plain(page)
    assert "3 more changed files." in plain(page)


def test_a_large_diff_is_cut_and_says_so(client: Client) -> None:
    old = factories.snapshot({"a": "x\n"})
    new = factories.snapshot({"a": "x\n", "long": "line\n" * (MOST_LINES + 7)})
    page = plain(text_of(client.get(address(old, new))))
    assert "7 more lines of the diff are not shown." in page
    assert "+1,007" in page


def test_an_odd_name_is_found_again(
    client: Client, old: Snapshot, new: Snapshot
) -> None:
    part = client.get(address(old, new, f"file/?name={quote(_ODD)}"))
    assert "added:odd" in plain(text_of(part))
    assert b"<img src=x" not in part.content


@pytest.mark.parametrize("name", ["", "none", "same.txt", "was/here.py", "../train.py"])
def test_a_file_that_did_not_change_has_no_diff(
    client: Client, old: Snapshot, new: Snapshot, name: str
) -> None:
    for part in ("file", "lines"):
        more = f"{part}/?name={name}&old=0&new=0&lines=1"
        assert client.get(address(old, new, more)).status_code == 404


def test_a_gap_opens_toward_the_change(
    client: Client, old: Snapshot, new: Snapshot
) -> None:
    more = "lines/?view=inline&name=train.py&old=0&new=0&lines=26"
    part = plain(text_of(client.get(address(old, new, more))))
    assert "1 1 value_1 = 1" in part
    assert "26 26 value_26 = 26" in part
    assert "value_27" not in part
    assert "equal lines" not in part


@pytest.mark.parametrize(
    ("gap", "shown", "left"),
    [
        ("old=0&new=0&lines=450", (251, 450), "250 equal lines"),
        ("old=451&new=451&lines=500", (452, 651), "300 equal lines"),
    ],
)
def test_of_a_long_gap_a_part_is_shown(
    client: Client, gap: str, shown: tuple[int, int], left: str
) -> None:
    lines = [f"line {n};\n" for n in range(1, 1001)]
    old = factories.snapshot({"a": "".join(lines)})
    lines[450] = "new\n"
    new = factories.snapshot({"a": "".join(lines)})
    part = plain(text_of(client.get(address(old, new, f"lines/?name=a&{gap}"))))
    first, last = shown
    assert f" line {first};" in part
    assert f" line {last};" in part
    assert f" line {first - 1};" not in part
    assert f" line {last + 1};" not in part
    assert left in part


@pytest.mark.parametrize(
    "gap",
    [
        *("", "old=0&new=0", "old=-1&new=0&lines=3", "old=a&new=0&lines=1"),
        *(
            "old=0&new=0&lines=0",
            "old=59&new=59&lines=2",
            "old=0&new=0&lines=1234567890",
        ),
        "old=0&new=0&lines=1e3",
    ],
)
def test_lines_that_are_not_there_are_not_found(
    client: Client, old: Snapshot, new: Snapshot, gap: str
) -> None:
    answer = client.get(address(old, new, f"lines/?name=train.py&{gap}"))
    assert answer.status_code == 404


def test_a_snapshot_that_is_not_there_has_no_diff(
    client: Client, old: Snapshot
) -> None:
    none = Snapshot(pk="0" * 64)
    for pair in ((old, none), (none, old)):
        assert client.get(address(*pair)).status_code == 404
    assert client.get(f"/snapshots/{old.pk}/diff/short/").status_code == 404
    assert Client().get(address(old, old)).status_code == 302


def test_a_file_that_is_lost_is_told_beside_the_others(
    client: Client, old: Snapshot, new: Snapshot
) -> None:
    entry = next(e for e in snapshot_changes(old, new).added if e.path == "came.txt")
    kept = Path(settings.OBJECTS_FOLDER, entry.sha256[:2], entry.sha256[2:])
    content = kept.read_bytes()
    kept.unlink()
    try:
        page = plain(text_of(client.get(address(old, new))))
    finally:
        kept.write_bytes(content)
    assert "missing in the portal's store" in page
    assert "added:value_30 = 31" in page


def test_modes_and_links_are_told(client: Client) -> None:
    def kept(mode: int, target: bytes) -> Snapshot:
        script, link = zipfile.ZipInfo("run.sh"), zipfile.ZipInfo("link")
        script.external_attr, link.external_attr = mode << 16, 0o120777 << 16
        data = zip_of([(script, b"#!/bin/sh\n"), (link, target)])
        answer = client.post(
            "/runs/snapshots/?name=a.zip", data, content_type="application/zip"
        )
        return Snapshot.objects.get(pk=answer.json()["snapshot"])

    old, new = kept(0o100644, b"run.sh"), kept(0o100755, b"./run.sh")
    page = plain(text_of(client.get(address(old, new))))
    assert "The file is executable now." in page
    assert "The link led to run.sh and leads to ./run.sh." in page


def test_snapshots_of_other_runs_are_offered(
    client: Client, old: Snapshot, new: Snapshot
) -> None:
    for number in range(3):
        factories.submit(snapshot=old, display_name=f"old-{number}")
    run = factories.submit(snapshot=new, display_name="this")
    page = text_of(client.get(new.get_absolute_url()))
    assert f'action="{new.get_absolute_url()}compare/"' in page
    base = f"{new.get_absolute_url()}compare/"
    for headers in ({}, _HTMX):
        found = text_of(client.get(base, headers=headers))
        assert f'href="{address(old, new)}"' in found
        assert "old-2" in found
        assert "old-1" not in found, "A snapshot is offered once."
        assert str(run) not in plain(found)
        assert ("<html" in found) == (headers == {})
    assert "old-1" in text_of(client.get(f"{base}?named=OLD-1"))
    assert "No run with another" in text_of(client.get(f"{base}?named=none"))
