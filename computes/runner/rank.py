"""Runs a script as one rank of several; srun starts this for each.

Shipped to compute targets beside runner.py: standard library only, Python 3.8 or newer.

A rank finds who it is in the variables that PyTorch and others read, and prints into a
log of its own, logs/rank_N.txt in the working folder, where secrets are masked. What
the first rank prints goes to the log of the run as well; of the others, just how they
failed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any, Dict, List, Mapping, Optional

import runner  # type: ignore[import-not-found]
from masking import copy, write_all  # type: ignore[import-not-found]

# Below the ports that Linux gives to whoever names none.
FIRST_PORT, PORTS = 20000, 10000
# What a person may give instead; the rest is as it is.
MEETING = ("MASTER_ADDR", "MASTER_PORT")
# So much of the log of a rank that failed is shown.
TAIL_BYTES, TAIL_LINES = 4096, 10


def variables(slurm: Mapping[str, str]) -> Dict[str, str]:
    """Who a rank is, and where all of them meet, from what srun says."""
    job = int(slurm["SLURM_JOB_ID"]) + int(slurm["SLURM_STEP_ID"])
    return {
        # srun runs on the first node of the job, where the first rank is.
        "MASTER_ADDR": slurm["SLURM_LAUNCH_NODE_IPADDR"],
        "MASTER_PORT": str(FIRST_PORT + job % PORTS),
        "WORLD_SIZE": slurm["SLURM_NTASKS"],
        "RANK": slurm["SLURM_PROCID"],
        "LOCAL_RANK": slurm["SLURM_LOCALID"],
        "LOCAL_WORLD_SIZE": slurm["SLURM_NTASKS_PER_NODE"],
        "NODE_RANK": slurm["SLURM_NODEID"],
    }


class Told(Exception):
    """This rank was told to end."""


def run(folder: str, argv: List[str]) -> int:
    given = {name: os.environ[name] for name in MEETING if name in os.environ}
    env = dict(os.environ, **dict(variables(os.environ), **given))
    spec = runner.Job(folder).read("job.json") or {}
    names = spec.get("secrets", ())
    log = Log(folder, env["RANK"], [env[name] for name in names if name in env])
    runner.become_reaper()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _on_told)
    try:
        # All that srun left open is for the script: MPI speaks through it.
        script = subprocess.Popen(
            argv, env=env, stdout=log.end, stderr=subprocess.STDOUT, close_fds=False
        )
    except OSError as error:
        sys.stderr.write("%s can't be started: %s.\n" % (argv[0], error.strerror))
        return 127
    told = False
    try:
        script.wait()
    except Told:
        told = True
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    _end_all(script, _grace(spec))
    log.close()
    if told or script.returncode == -signal.SIGTERM:
        # srun's own exit code is the highest: that is to be of the rank that failed.
        return 1
    if script.returncode and not log.is_first:
        log.tell_of_failure(script.returncode)
    return 128 - script.returncode if script.returncode < 0 else script.returncode


def _on_told(*_: object) -> None:
    raise Told


def _grace(spec: Mapping[str, Any]) -> float:
    grace: Optional[float] = runner.seconds_in(spec.get("grace_seconds"))
    return float(runner.DEFAULT_GRACE) if grace is None else grace


def _end_all(script: "subprocess.Popen[bytes]", grace: float) -> None:
    """End the script, if it lives, and all that it left on this node."""
    ending = runner.Ending(grace)
    while True:
        ended = script.poll() is not None
        living = runner.descendants([os.getpid()], runner.all_processes())
        if ended and not living:
            return
        ending.step(living)
        time.sleep(0.02)


class Log:
    """The log of a rank; that of the first one is printed, too."""

    def __init__(self, folder: str, rank: str, secrets: List[str]) -> None:
        self.rank = rank
        self.name = "logs/rank_%s.txt" % rank
        self.path = os.path.join(folder, "work", self.name)
        self.is_first = rank == "0"
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self.file = os.open(self.path, flags, 0o600)
        # What the script is to print into.
        self.end = self.file
        self.copying: Optional[threading.Thread] = None
        if self.is_first or secrets:
            source, self.end = os.pipe()
            words = [source, self._write, secrets]
            self.copying = threading.Thread(target=copy, args=words)
            self.copying.daemon = True
            self.copying.start()

    def close(self) -> None:
        """Have all of it written, once nobody prints any more."""
        if self.copying:
            os.close(self.end)
            self.copying.join()

    def tell_of_failure(self, status: int) -> None:
        how = "signal %d" % -status if status < 0 else "exit code %d" % status
        node = os.environ.get("SLURMD_NODENAME", "its node")
        with open(self.path, "rb") as file:
            file.seek(max(os.path.getsize(self.path) - TAIL_BYTES, 0))
            lines = file.read().decode(errors="replace").splitlines()[-TAIL_LINES:]
        told = ["Rank %s on %s ended with %s." % (self.rank, node, how)]
        told += ["The end of its log, %s:" % self.name] if lines else []
        # In one piece, so that the words of several ranks do not mix.
        text = "\n".join(told + ["  " + line for line in lines]) + "\n"
        os.write(2, text.encode())

    def _write(self, data: bytes) -> None:
        write_all(self.file, data)
        if self.is_first:
            write_all(1, data)


def main(words: List[str]) -> int:
    folder, _, *argv = words
    return run(folder, argv)
