"""One process or thread at a time for each image that is built on an engine."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import docker
from django.conf import settings as portal

from computes.runner.locks import open_lock, take


@contextmanager
def lock_of(client: docker.APIClient, key: str) -> Iterator[Callable[[], bool]]:
    """What takes the lock of an image, and tells whether it was to be had.

    It is held until the end of the block. The system takes it from who dies.
    """
    name = f"{client.info()['ID']}-{key}".replace(":", "").replace("/", "").lower()
    folder = Path(portal.BUILDS_FOLDER)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = open_lock(str(folder / f"{name[:200]}.lock"))
    try:
        yield partial(take, descriptor, fcntl.LOCK_EX, wait=False)
    finally:
        os.close(descriptor)
