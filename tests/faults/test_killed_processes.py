"""Processes of the portal are killed at random moments; no run notices.

After each round every run is in the state that its process really reached, and its
log is, byte for byte, what the script wrote.
"""

import random
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.services.portal import Portal
from tests.services.runs import SubmittedRun, set_places, submit, upload
from tests.waiting import eventually

SCRIPT = Path(__file__).with_name("chatty.py").read_text()
VICTIMS = ("web", "worker", "monitor", "redis")
ROUNDS = 20
RUNS = 4


@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", range(ROUNDS))
def test_no_run_notices(make_portal: Callable[..., Portal], seed: int) -> None:
    portal = make_portal()
    set_places(portal, RUNS)
    client = portal.sign_in()
    snapshot = upload(client, {"train.py": SCRIPT})
    rnd = random.Random(seed)
    runs = [
        _submit_stubbornly(portal, client, snapshot, seed * RUNS + number, rnd)
        for number in range(RUNS)
    ]
    for _ in range(rnd.randint(1, 4)):
        time.sleep(rnd.random() * 0.4)
        for victim in rnd.sample(VICTIMS, rnd.randint(1, len(VICTIMS))):
            _kill(portal, victim)
    if rnd.random() < 0.3:
        _kill(portal, "serve")
    if portal.serve is None:
        time.sleep(rnd.random() * 2)
        portal.start()
    for run in runs:
        run.wait_for_end(90)
        _check(run)


def _submit_stubbornly(
    portal: Portal,
    client: httpx.Client,
    snapshot: str,
    number: int,
    rnd: random.Random,
) -> SubmittedRun:
    """Submit with one token until an answer comes: that makes one run."""
    token, seconds = str(uuid.uuid4()), f"{0.2 + rnd.random() * 1.5:.2f}"
    found: list[SubmittedRun] = []

    def try_once() -> bool:
        try:
            found.append(
                submit(
                    portal,
                    client,
                    snapshot=snapshot,
                    arguments=(str(number), seconds),
                    token=token,
                )
            )
        except httpx.TransportError:
            return False
        return True

    eventually(try_once, "the portal takes a submission")
    if rnd.random() < 0.3:
        _kill(portal, rnd.choice(VICTIMS))
    return found[0]


def _kill(portal: Portal, name: str) -> None:
    try:
        portal.kill(name)
    except (ProcessLookupError, KeyError):
        # It was killed before and is not back yet.
        return


def _check(run: SubmittedRun) -> None:
    record = run.exit_record()
    assert record["reason"] == "exited"
    assert run.status == ("Failed" if record["exit_code"] else "Completed")
    assert run.column("exit_code") == record["exit_code"]
    assert run.log_digest() == run.output("outputs/printed.txt")
    states = [status for status, _ in run.events() if status]
    assert len(states) == len(set(states)), f"a state was entered twice: {states}"


def test_a_run_goes_on_while_everything_is_stopped(
    make_portal: Callable[..., Portal],
) -> None:
    portal = make_portal()
    client = portal.sign_in()
    run = submit(portal, client, script=SCRIPT, arguments=("7", "4"))
    run.wait_for("Running")
    portal.stop()
    folder = portal.data / "jobs" / run.run_id
    eventually((folder / "exit.json").exists, "the runner wrote its last word")
    portal.start()
    run.wait_for_end()
    _check(run)
