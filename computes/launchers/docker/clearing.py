"""Removes from an engine what the portal built there and nobody needs any more."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import docker
from django.conf import settings as portal
from django.utils.dateparse import parse_datetime
from docker.errors import APIError

from computes.launchers.docker.images import facts_of
from computes.launchers.docker.locks import lock_of
from computes.launchers.docker.recipes import (
    BASE,
    KEY,
    PORTAL,
    REPOSITORY,
    STAGE,
    Image,
    stage_of,
)


@dataclass(frozen=True, kw_only=True)
class _Built:
    """`bytes` are those that it has on top of its `base`."""

    id: str
    base: str
    key: str
    used: datetime
    bytes: int


def note_use(client: docker.APIClient, image: Image) -> None:
    """Have the engine know that an image was used: it keeps when one got its name."""
    with suppress(APIError):
        client.tag(image.name, REPOSITORY, image.key)


def remove_unused(
    client: docker.APIClient, keep_bytes: int, newest: Image
) -> Iterator[str]:
    """Remove environments until the rest is small enough; the keys of those removed.

    Those that were not used for longest go first. The base of another one stays, and
    the engine itself keeps what a container is made of.
    """
    with suppress(APIError):
        found = sorted(_all(client), key=lambda each: each.used)
        bases = {each.base for each in found}
        total = sum(each.bytes for each in found)
        for each in found:
            if total <= keep_bytes:
                return
            is_needed = each.key == newest.key or each.id in bases
            if not is_needed and _remove(client, each.key):
                total -= each.bytes
                yield each.key


def remove_stages(client: docker.APIClient) -> None:
    """Remove what builds that were killed have left, and those that go on have not.

    It has the indexes of the portal in its history, and files of theirs.
    """
    stages = _images(client, dangling=True, label=[STAGE])
    for stage in {str(each["Labels"][STAGE]) for each in stages}:
        key = stage.rpartition(".")[2]
        with lock_of(client, key) as take:
            if stage == stage_of(key) and take():
                prune(client, f"{STAGE}={stage}")


def prune(client: docker.APIClient, *labels: str) -> None:
    """Remove the images with these labels that have no name."""
    filters = {"dangling": True, "label": [*labels]}
    client.prune_images(filters=filters)  # type: ignore[no-untyped-call]


def _all(client: docker.APIClient) -> Iterator[_Built]:
    """The images of environments that this portal has built."""
    for each in _images(client, label=[KEY, f"{PORTAL}={portal.PORTAL_ID}"]):
        key, base = each["Labels"][KEY], each["Labels"].get(BASE, "")
        facts = facts_of(client, f"{REPOSITORY}:{key}")
        # One that was built anew has left its name to the newer one.
        if facts and facts["Id"] == each["Id"]:
            yield _Built(
                id=each["Id"],
                base=base,
                key=key,
                used=_used(facts),
                bytes=each["Size"] - _size(client, base),
            )


def _images(client: docker.APIClient, **filters: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.images(filters=filters)
    return found


def _used(facts: dict[str, Any]) -> datetime:
    """When it got its name last, or else when it was made."""
    times = (facts.get("Metadata") or {}).get("LastTagTime"), facts.get("Created")
    found = [parse_datetime(time) for time in times if time]
    return max(
        (time for time in found if time), default=datetime.min.replace(tzinfo=UTC)
    )


def _size(client: docker.APIClient, image: str) -> int:
    facts = facts_of(client, image) if image else None
    return int(facts["Size"]) if facts else 0


def _remove(client: docker.APIClient, key: str) -> bool:
    try:
        client.remove_image(f"{REPOSITORY}:{key}")
    except APIError:
        # A container has it.
        return False
    return True
