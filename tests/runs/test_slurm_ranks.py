"""A script on several nodes of a Slurm cluster: each of its ranks finds the others."""

import json
from pathlib import Path

import pytest

from computes.models import ComputeTarget
from runs import services
from runs.mirror import last_word, log_path
from runs.models import Run
from runs.status import EndReason, RunStatus
from tests import factories
from tests.services.monitor import Monitor, job_folder, started
from tests.services.slurm import Slurm
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_server"),
]
FOUR = {"nodes": 2, "tasks_per_node": 2}
# As torch.distributed does: the first rank listens, the others come to it.
MEETS = """
import json, os, socket
names = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "NODE_RANK")
me = {name: int(os.environ[name]) for name in names}
me["node"] = os.environ["SLURMD_NODENAME"]
place = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
print("rank", me["RANK"], flush=True)
if me["RANK"] == 0:
    known = [me]
    with socket.create_server(place) as server:
        while len(known) < me["WORLD_SIZE"]:
            with server.accept()[0] as peer:
                known.append(json.loads(peer.makefile().readline()))
    with open("outputs/ranks.json", "w") as file:
        json.dump(sorted(known, key=lambda each: each["RANK"]), file)
    print("all are here")
else:
    while True:
        try:
            with socket.create_connection(place, timeout=5) as first:
                first.sendall(json.dumps(me).encode() + b"\\n")
            break
        except ConnectionRefusedError:
            pass
"""
WAITS = """
import os, signal, time
if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork():
        os._exit(0)
print("ready", os.environ["RANK"], flush=True)
time.sleep(600)
"""


@pytest.fixture
def target(slurm: Slurm) -> ComputeTarget:
    return factories.cluster(slurm)


def files_of(run: Run) -> Path:
    return log_path(run.run_id).parent.parent / "files"


def log_of(run: Run) -> str:
    path = log_path(run.run_id)
    return path.read_text() if path.exists() else ""


def test_every_rank_finds_the_first(monitor: Monitor, target: ComputeTarget) -> None:
    run = started(MEETS, target=target, launch=FOUR)
    monitor.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED, log_of(run)
    ranks = json.loads((files_of(run) / "outputs/ranks.json").read_text())
    assert ranks == [
        {
            "WORLD_SIZE": 4,
            "RANK": rank,
            "LOCAL_RANK": rank % 2,
            "LOCAL_WORLD_SIZE": 2,
            "NODE_RANK": rank // 2,
            "node": f"n{1 + rank // 2}",
        }
        for rank in range(4)
    ]
    assert log_of(run) == "rank 0\nall are here\n"
    logs = [(files_of(run) / f"logs/rank_{rank}.txt").read_text() for rank in range(4)]
    assert logs == ["rank 0\nall are here\n", "rank 1\n", "rank 2\n", "rank 3\n"]


def test_what_the_first_rank_prints_is_shown_while_it_runs(
    monitor: Monitor, target: ComputeTarget
) -> None:
    run = started(WAITS, target=target, launch=FOUR, grace_seconds=1)
    monitor.wait(lambda: "ready 0\n" in log_of(run), "the first rank prints")
    services.cancel_run(run, by="ada")
    monitor.wait_for_end(run)
    assert run.status == RunStatus.CANCELED


def test_a_rank_that_fails_ends_the_others_and_is_told(
    monitor: Monitor, target: ComputeTarget
) -> None:
    fails = (
        "import os, sys, time\n"
        "if os.environ['RANK'] == '3':\n"
        "    time.sleep(1)\n    print('no luck')\n    sys.exit(3)\n"
        "print('waiting', flush=True)\ntime.sleep(600)"
    )
    run = started(fails, target=target, launch=FOUR)
    monitor.wait_for_end(run)
    assert (run.status, run.end_reason) == (RunStatus.FAILED, EndReason.EXIT_CODE)
    told = "Rank 3 on n2 ended with exit code 3.\nThe end of its log, logs/rank_3.txt:"
    assert f"{told}\n  no luck\n" in log_of(run)
    assert run.exit_code == 3


def test_a_canceled_run_leaves_no_process_on_any_node(
    monitor: Monitor, target: ComputeTarget, slurm: Slurm
) -> None:
    run = started(WAITS, target=target, launch=FOUR, grace_seconds=1)
    logs = [job_folder(run) / f"work/logs/rank_{rank}.txt" for rank in range(4)]
    monitor.wait(
        lambda: all(log.exists() and log.read_bytes() for log in logs), "all print"
    )
    services.cancel_run(run, by="ada")
    monitor.wait_for_end(run)
    assert run.status == RunStatus.CANCELED
    assert last_word(run.run_id)
    eventually(lambda: not slurm.processes_of(run.run_id), "nothing is left", 5)
