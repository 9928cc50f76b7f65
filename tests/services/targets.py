"""Compute targets of a real portal, as its pages have them."""

import httpx

from tests.waiting import eventually


def ready_key(client: httpx.Client, name: str) -> str:
    """The key, for submissions, of a target that was attached, once it is checked."""
    page = f"/compute/{name}/"
    eventually(lambda: "Ready" in client.get(page).text, f"{name} is ready", 60)
    before = client.get("/runs/new/").text.partition(f"<strong>{name}</strong>")[0]
    key = before.rpartition('name="target"')[2].partition('value="')[2].split('"')[0]
    assert key.isdecimal(), f"{name} can't be picked."
    return key
