"""One process or thread at a time for each image that is built on an engine."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import docker
from django.conf import settings as portal


@contextmanager
def lock_of(client: docker.APIClient, key: str) -> Iterator[Callable[[], bool]]:
    """What takes the lock of an image, and tells whether it was to be had.

    It is held until the end of the block. The system takes it from who dies.
    """
    name = f"{client.info()['ID']}-{key}".replace(":", "").replace("/", "").lower()
    folder = Path(portal.BUILDS_FOLDER)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / f"{name[:200]}.lock").open("a") as file:
        yield partial(_take, file.fileno())


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
