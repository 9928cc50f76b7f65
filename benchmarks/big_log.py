"""One run that prints a gigabyte, and a browser that opens its log."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
from playwright.sync_api import Page

from benchmarks.browsing import signed_in_page
from benchmarks.report import Figure, Section, milliseconds, spread
from tests.services.portal import Portal
from tests.services.runs import SubmittedRun, submit

_MEGABYTES = 1024
_LINE = "step 1234567 loss 0.123456 accuracy 0.987654 lr 0.001000 seconds 12.3456"
# Real text of 64-byte-and-more lines, in writes of 64 KiB as a buffered print makes.
_SCRIPT = f"""
import sys
line = b"{_LINE}\\n"
block = line * (65536 // len(line))
left = {_MEGABYTES} * 1024 * 1024
out = sys.stdout.buffer
while left > 0:
    out.write(block)
    left -= len(block)
out.write(b"the last line\\n")
"""
_ROUNDS = 7
_LAST_ROW = ".log-row__text >> text=the last line"
_OPENED = """() => new Promise((resolve) => {
  const look = () => {
    const rows = [...document.querySelectorAll(".log-row__text")];
    if (rows.some((row) => row.textContent === "the last line"))
      resolve(performance.now());
    else setTimeout(look, 1);
  };
  look();
})"""


def measure(portal: Portal, client: httpx.Client) -> list[Section]:
    run, taken = _print(portal, client)
    piped = _pipe()
    with signed_in_page(portal, client) as page:
        opened = [_open(portal, page, run) for _ in range(_ROUNDS + 1)][1:]
        small = submit(portal, client, script="print('the last line')")
        small.wait_for_end()
        opened_small = [_open(portal, page, small) for _ in range(_ROUNDS + 1)][1:]
        middle = [_jump(page, portal, run, share) for share in (0.5, 0.25, 0.75)]
    ratio = statistics.median(opened) / statistics.median(opened_small)
    begin = time.perf_counter()
    client.get(f"/runs/{run.run_id}/log/search", params={"q": "not in there"})
    searched = time.perf_counter() - begin
    size = (run.mirror / "logs" / "std_log.txt").stat().st_size / 1e6
    return [
        Section(
            title="Throughput of a log",
            how=(
                f"A script prints {size:,.0f} MB as fast as it can. From its start to"
                " the log's last byte in the mirror, on the disk and checked by"
                " SHA-256; against the same script through a pipe into `cat > file`,"
                " and fsync."
            ),
            figures=[
                Figure(
                    what="script → mirror",
                    value=f"{size / taken:,.0f} MB/s",
                    against=f"`cat` through a pipe {size / piped:,.0f} MB/s",
                    ratio=f"{piped / taken:.2f}",
                )
            ],
        ),
        Section(
            title="A log of a gigabyte in the browser",
            how=(
                "From the navigation to the run's page until the last line of its log"
                " stands in the page, caches warm, against the same page of a run that"
                " printed one line."
            ),
            figures=[
                Figure(
                    what="open at the end",
                    value=spread(opened),
                    against=f"a log of one line {spread(opened_small)}",
                    ratio=f"{ratio:.2f}",
                    aim="≤ 300 ms",
                ),
                Figure(what="jump to a line in the middle", value=spread(middle)),
                Figure(
                    what="first answer of a search without hits",
                    value=milliseconds(searched),
                ),
            ],
        ),
    ]


def _print(portal: Portal, client: httpx.Client) -> tuple[SubmittedRun, float]:
    run = submit(portal, client, script=_SCRIPT)
    run.wait_for_end(timeout=300)
    # The last state has the time of the script's end; the mirror is whole only now.
    now = datetime.now(UTC)
    assert run.status == "Completed", run.column("error")
    started = datetime.fromisoformat(run.column("started_at")).replace(tzinfo=UTC)
    return run, (now - started).total_seconds()


def _pipe() -> float:
    with tempfile.TemporaryDirectory() as folder:
        script, target = Path(folder) / "train.py", Path(folder) / "log"
        script.write_text(_SCRIPT)
        begin = time.perf_counter()
        with (
            target.open("wb") as file,
            subprocess.Popen(
                [sys.executable, "-u", str(script)], stdout=subprocess.PIPE
            ) as printing,
            subprocess.Popen(["cat"], stdin=printing.stdout, stdout=file) as cat,
        ):
            cat.wait()
            os.fsync(file.fileno())
        return time.perf_counter() - begin


def _open(portal: Portal, page: Page, run: SubmittedRun) -> float:
    # From another page of the portal, as people do.
    page.goto(f"{portal.url}/compute/")
    page.goto(f"{portal.url}/runs/{run.run_id}/?tab=log", wait_until="commit")
    taken: float = page.evaluate(_OPENED)
    return taken / 1000


def _jump(page: Page, portal: Portal, run: SubmittedRun, share: float) -> float:
    lines = int(_MEGABYTES * 1024 * 1024 / (len(_LINE) + 1) * share)
    page.goto(f"{portal.url}/runs/{run.run_id}/?tab=log")
    page.locator(_LAST_ROW).wait_for()
    begin = time.perf_counter()
    page.get_by_label("Go to line").fill(str(lines))
    page.get_by_label("Go to line").press("Enter")
    page.locator(f'a.log-row__number[href="#L{lines}"] + .log-row__text').wait_for()
    return time.perf_counter() - begin
