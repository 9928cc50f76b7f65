"""Compute targets of a real portal, as its pages have them."""

import re

import httpx

from tests.waiting import eventually


def ready_key(client: httpx.Client, name: str) -> str:
    """The key, for submissions, of a target that was attached, once it is checked."""

    def offered() -> str:
        """Of the form of a submission, up to its name; empty if it is not there."""
        before, found, _ = client.get("/runs/new/").text.partition(f"<strong>{name}<")
        return before if found else ""

    page = f"/compute/{name}/"
    eventually(lambda: "Ready" in client.get(page).text, f"{name} is ready", 60)
    before = eventually(offered, f"{name} can be picked")
    keys: list[str] = re.findall(r'name="target"\s+value="(\d+)"', before)
    return keys[-1]
