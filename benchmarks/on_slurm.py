"""Runs on a Slurm cluster: from the submission to the first line."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from benchmarks.report import Section
from benchmarks.targets import first_line, first_line_figure, in_turn
from tests.services.portal import Portal
from tests.services.slurm import Slurm
from tests.services.slurm_targets import NAME, attach

_ROUNDS = 12


def measure(portal: Portal, client: httpx.Client) -> Section:
    with Slurm() as slurm:
        target = attach(client, slurm)
        first, bare = in_turn(
            _ROUNDS,
            lambda: first_line(portal, client, target),
            lambda: _bare(slurm),
        )
        client.post(f"/compute/{NAME}/detach/", data={"if_active": "cancel"})
    return Section(
        title="On Slurm",
        how=(
            "On a cluster of this machine alone. From the submission over HTTP to the"
            " line in the mirror; against `sbatch` with a script of the same line to"
            " that line in its output. Slurm needs about a second to begin a job."
        ),
        figures=[first_line_figure(first, bare, against="sbatch")],
    )


def _bare(slurm: Slurm) -> float:
    with tempfile.TemporaryDirectory() as made:
        out = Path(made, "out")
        script = f"#!/bin/sh\n{sys.executable} -c \"print('the first line')\"\n"
        begin = time.perf_counter()
        subprocess.run(
            ["sbatch", "--quiet", f"--output={out}"],
            input=script.encode(),
            env=slurm.env,
            check=True,
        )
        while not (out.exists() and out.read_bytes()):
            time.sleep(0.001)
        return time.perf_counter() - begin
