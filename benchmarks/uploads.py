"""How much of a folder travels from a browser, and how long that takes."""

import hashlib
import json
import statistics
import tempfile
import time
from pathlib import Path

import httpx
from playwright.sync_api import Page

from benchmarks.browsing import signed_in_page
from benchmarks.folders import change_one, make_tree
from benchmarks.report import Figure, Section, spread
from tests.browser.dropping import drop
from tests.runs.sources import tarred
from tests.services.portal import Portal

_ROUNDS = 3


def measure(portal: Portal, client: httpx.Client) -> Section:
    with tempfile.TemporaryDirectory(prefix="aml-bench-") as made:
        return _measure(portal, client, make_tree(Path(made) / "source"))


def _measure(portal: Portal, client: httpx.Client, tree: Path) -> Section:
    total = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file())
    with signed_in_page(portal, client) as page:
        first = _drop(portal, page, tree)
        start = time.perf_counter()
        _submit(page)
        sent = time.perf_counter() - start
        again = [_drop(portal, page, tree) for _ in range(_ROUNDS)]
    offers = [_offer(client, _list(tree)) for _ in range(_ROUNDS)]
    unchanged = len(_list(tree))
    change_one(tree)
    changed = unchanged + _send_one(client, tree)
    return Section(
        title="The same folder from a browser",
        how=(
            "The folder is dropped on the page in Chromium, which reads and hashes it"
            " and offers the list; then what the portal lacks is sent."
        ),
        figures=[
            Figure(
                what="drop → what would go is shown, first",
                value=f"{first:.1f} s",
                ratio=f"{total / 10**6 / first:.0f} MB/s hashed",
            ),
            Figure(what="the same, later", value=f"{statistics.median(again):.1f} s"),
            Figure(
                what="Submit → the run's page, all of it sent",
                value=f"{sent:.1f} s",
                ratio=f"{total / 10**6 / sent:.0f} MB/s",
            ),
            Figure(
                what="portal's work for an unchanged folder (the offer)",
                value=spread(offers),
                aim="≤ 200 ms",
            ),
            Figure(
                what="bytes on the wire, one file changed",
                value=f"{changed / 10**6:.2f} MB",
                against=f"{total / 10**6:.0f} MB in the folder",
                ratio=f"{changed / total:.2%}",
                aim="≤ 2 %",
            ),
        ],
    )


def _drop(portal: Portal, page: Page, tree: Path) -> float:
    page.goto(f"{portal.url}/runs/new/")
    page.get_by_role("combobox", name="Experiment").fill("snapshots")
    start = time.perf_counter()
    drop(page, page.locator("source-drop"), tree)
    page.locator(".preflight-changes").wait_for(timeout=120_000)
    return time.perf_counter() - start


def _submit(page: Page) -> None:
    page.get_by_role("button", name="Submit run").last.click()
    page.locator(".run-line .status").wait_for(timeout=120_000)


def _list(tree: Path) -> bytes:
    files = [path for path in sorted(tree.rglob("*")) if path.is_file()]
    return json.dumps([_entry(tree, path) for path in files]).encode()


def _entry(tree: Path, path: Path) -> dict[str, object]:
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    name = path.relative_to(tree).as_posix()
    return {"path": name, "size": len(data), "sha256": digest}


def _offer(client: httpx.Client, listed: bytes) -> float:
    start = time.perf_counter()
    answer = client.post("/runs/snapshots/offer/", content=listed).raise_for_status()
    taken = time.perf_counter() - start
    assert answer.json()["snapshot"]
    return taken


def _send_one(client: httpx.Client, tree: Path) -> int:
    """Offer the changed folder, send what is lacking, offer again; the bytes sent
    beyond the first list.
    """
    listed = _list(tree)
    answer = client.post("/runs/snapshots/offer/", content=listed).json()
    by_hash = {_entry(tree, p)["sha256"]: p for p in tree.rglob("*.py")}
    (missing,) = answer["missing"]
    body = tarred({missing: by_hash[missing].read_bytes()})
    client.post("/runs/snapshots/objects/", content=body).raise_for_status()
    _offer(client, listed)
    return len(body) + len(listed)
