"""Finds compute targets in the form of a submission."""

import httpx


def key_of(client: httpx.Client, name: str) -> str:
    """The value of a target there."""
    page = client.get("/runs/new/").text
    before = page.partition(f"<strong>{name}</strong>")[0]
    key = before.rpartition('name="target"')[2].partition('value="')[2].split('"')[0]
    assert key.isdecimal(), "The target can't be picked."
    return key
