"""How long `make run` takes on a machine that has run it before."""

import os
import re
import signal
import subprocess
import tempfile
import time

import httpx

from benchmarks.report import Figure, Section, spread
from tests.services.portal import ROOT
from tests.waiting import free_port

_ROUNDS = 4


def measure() -> Section:
    with tempfile.TemporaryDirectory(prefix="aml-bench-") as data:
        times = [_start(data) for _ in range(_ROUNDS + 1)]
    return Section(
        title="`make run`",
        how=(
            "From the command to the first page that a browser gets, with packages and"
            " assets installed."
        ),
        figures=[
            Figure(
                what="first start, with migrations", value=spread(times[:1]), aim=""
            ),
            Figure(what="later starts", value=spread(times[1:]), aim="seconds"),
        ],
    )


def _start(data: str) -> float:
    environment = {
        **os.environ,
        "AML_PORTAL_DATA": data,
        "AML_PORTAL_PORT": str(free_port()),
    }
    begin = time.perf_counter()
    with subprocess.Popen(
        ["make", "run"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"https?://[^/\s]+", line):
                break
        else:
            raise AssertionError("The portal did not start.")
        page = httpx.get(found[0] + "/sign-in/", trust_env=False)
        taken = time.perf_counter() - begin
        assert page.status_code == 200
        os.killpg(process.pid, signal.SIGINT)
        process.stdout.read()
    return taken
