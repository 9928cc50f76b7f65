"""Finds compute targets in the form of a submission, and times runs on them."""

import time

import httpx

from tests.services.portal import Portal
from tests.services.runs import submit, upload

ONE_LINE = "print('the first line', flush=True)\n"


def key_of(client: httpx.Client, name: str) -> str:
    """The value of a target there."""
    page = client.get("/runs/new/").text
    before = page.partition(f"<strong>{name}</strong>")[0]
    key = before.rpartition('name="target"')[2].partition('value="')[2].split('"')[0]
    assert key.isdecimal(), "The target can't be picked."
    return key


def first_line(portal: Portal, client: httpx.Client, target: str) -> float:
    """Seconds from a submission to the script's line in the mirror."""
    snapshot = upload(client, {"train.py": ONE_LINE})
    begin = time.perf_counter()
    run = submit(portal, client, snapshot=snapshot, target=target)
    while not run.log():
        time.sleep(0.001)
    taken = time.perf_counter() - begin
    run.wait_for_end()
    return taken
