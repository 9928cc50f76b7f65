"""How long after Submit the first line of the script stands in the browser."""

import io
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import httpx
from playwright.sync_api import Page

from benchmarks.browsing import signed_in_page
from benchmarks.report import Figure, Section, spread
from tests.services.portal import Portal

_SCRIPT = "print('the first line')\nimport time\ntime.sleep(1)\n"
_ROUNDS = 12


def measure(portal: Portal, client: httpx.Client) -> Section:
    with signed_in_page(portal, client) as page:
        shown = [_submit(portal, page) for _ in range(_ROUNDS + 1)][1:]
    bare = [_bare() for _ in range(_ROUNDS)]
    ratio = statistics.median(shown) / statistics.median(bare)
    return Section(
        title="From Submit to the first line",
        how=(
            "From the click on Submit in Chromium to the line in the log on the run's"
            " page, over the upload's snapshot, the queue, the runner, the mirror and"
            f" the socket; {_ROUNDS} runs one after another. Against"
            " `subprocess.Popen([python, script])` printing the same line."
        ),
        figures=[
            Figure(
                what="Submit → first line in the browser",
                value=spread(shown),
                against=f"bare subprocess {spread(bare)}",
                ratio=f"{ratio:.1f}",
                aim="≤ 500 ms",
            )
        ],
    )


def _submit(portal: Portal, page: Page) -> float:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("train.py", _SCRIPT)
    page.goto(f"{portal.url}/runs/new/")
    page.set_input_files(
        "[data-part=archive]",
        {
            "name": "source.zip",
            "mimeType": "application/zip",
            "buffer": archive.getvalue(),
        },
    )
    page.locator("[data-part=kept]").wait_for()
    page.fill("[name=experiment]", "first-line")
    page.keyboard.press("Escape")
    begin = time.perf_counter()
    page.click("[data-submit]")
    page.locator(".log-row__text", has_text="the first line").wait_for()
    taken = time.perf_counter() - begin
    page.locator(".status", has_text="Completed").first.wait_for()
    return taken


def _bare() -> float:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "train.py"
        script.write_text(_SCRIPT)
        begin = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, "-u", str(script)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            taken = time.perf_counter() - begin
            process.kill()
        return taken
