"""The runner's part with Slurm: submits a job once, and is what its script executes.

Shipped to compute targets beside runner.py: standard library only, Python 3.8 or newer.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
import time
from typing import Any, Dict, Iterator, Optional

import commands  # type: ignore[import-not-found]
import runner  # type: ignore[import-not-found]

Json = Dict[str, Any]

SUBMITTED = "slurm.json"
# Together less than the portal waits.
FIND_SECONDS, SUBMIT_SECONDS, TURN_SECONDS = 20, 45, 10
FAILED, WARNED = 1, 143


def submit(folder: str, asked: Json) -> Json:
    """Have `asked["submit"]` read `asked["script"]`, unless that was done before.

    The answer has the "number" of Slurm's job, None if it is not known any more; or
    else the "program" that failed, its exit "code", and "err", what it said.
    """
    job = runner.Job(folder)
    with _turn(folder):
        # Whoever asked may have lost the answer, or been killed before it was kept:
        # then the name of the job still tells, which `asked["find"]` looks for, as long
        # as Slurm knows it, and then what the job left.
        kept: Optional[Json] = job.read(SUBMITTED)
        if kept:
            return kept
        answer = _ask("squeue", asked["find"], b"", FIND_SECONDS)
        if answer.get("number") == "":
            if job.exists("runner.json") or job.exists("exit.json"):
                return {"number": None}
            script = asked["script"].encode()
            answer = _ask("sbatch", asked["submit"], script, SUBMIT_SECONDS)
        if "number" in answer:
            job.write(SUBMITTED, answer)
        return answer


@contextlib.contextmanager
def _turn(folder: str) -> Iterator[None]:
    """One after another, also where the portal gave one up."""
    lock = os.open(os.path.join(folder, "slurm.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + TURN_SECONDS
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                break
        yield
    finally:
        os.close(lock)


def _ask(program: str, command: Any, given: bytes, seconds: float) -> Json:
    """What the program says; the number, if it did what it should."""
    try:
        code, out, err = commands.run(command, given, seconds=seconds)
    except commands.Failed as error:
        return {"program": program, "code": -1, "err": "timed out (%s)" % error}
    if code:
        words = (err or out).decode(errors="replace")
        return {"program": program, "code": code, "err": words}
    # squeue has a line for each, sbatch says NUMBER or NUMBER;CLUSTER.
    lines = out.decode(errors="replace").split() or [""]
    return {"number": lines[-1].partition(";")[0]}


def main(verb: str, folder: str) -> int:
    if verb == "submit":
        answer = submit(folder, json.loads(sys.stdin.buffer.read()))
        sys.stdout.write(json.dumps(answer) + "\n")
        return 0
    word = runner.supervise(runner.Job(folder))
    if word.get("reason") == "host_signal":
        return WARNED
    return 0 if word.get("exit_code") == 0 else FAILED
