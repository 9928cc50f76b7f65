"""Sees to it that an engine has the image of a job, before its container is made."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
from django.conf import settings as portal
from docker.errors import NotFound

from aml_portal.errors import PortalError, TargetError
from computes.hosts import Host, TargetAwayError
from computes.launchers.base import Spec
from computes.launchers.docker.building import ImageBuilder
from computes.launchers.docker.images import is_there, pull
from computes.launchers.docker.recipes import BASE, Image
from computes.launchers.docker.settings import DockerSettings
from computes.launchers.recipes import PackageSources
from computes.runner.masking import Masker, cover

_BEAT = 0.3
# The worker's own job is ended after an hour.
_LONGEST = 3000.0


class CanceledError(Exception):
    """Nobody wants the image any more that is being brought."""


class ImageBringer:
    """Brings the image of one job; what it does is told in the job's log and events."""

    def __init__(
        self, host: Host, settings: DockerSettings, client: docker.APIClient, spec: Spec
    ) -> None:
        self._host = host
        self._settings = settings
        self._client = client
        self._job = str(spec["id"])
        self._sources: PackageSources = spec.get("sources") or PackageSources()
        self._limit = min(spec.get("max_duration_seconds") or _LONGEST, _LONGEST)
        self._deadline = time.monotonic() + self._limit
        self._has_built = False

    def bring(self, image: Image) -> None:
        """Pull it, or build it; where it is, that is told and nothing done.

        Raises PortalError, and CanceledError once the job is over.
        """
        self._bring(image)
        if image.recipe is not None:
            if (size := self._size(image)) is not None and not self._has_built:
                self._note(image, "hit", bytes=size)
            self._host.write_event(self._job, "prepared")

    def _bring(self, image: Image) -> None:
        if image.recipe is None:
            if not is_there(self._client, image.name):
                pull(self._client, image.name, self._settings, self._tell_if_wanted)
        elif self._size(image) is None:
            if image.base is not None:
                self._bring(image.base)
            with self._alone(image):
                # It may have come just before the lock was to be had.
                if self._size(image) is None:
                    self._build(image)

    def _size(self, image: Image) -> int | None:
        """If it is there, built on what the name of its base stands for now."""
        found, base = _inspect(self._client, image.name), self._base_id(image)
        if found is None or (base and _labels(found).get(BASE) != base):
            return None
        return int(found["Size"])

    def _build(self, image: Image) -> None:
        self._note(image, "building")
        begun = time.monotonic()
        try:
            self._build_masked(image)
        except TargetAwayError:
            raise
        except PortalError as error:
            error.message = cover(error.message, self._sources.hidden)
            self._tell(f"{error}\n".encode())
            self._note(image, "failed")
            raise
        self._has_built = True
        seconds, size = time.monotonic() - begun, self._size(image)
        if size is None:
            raise TargetAwayError("An image was removed as soon as it was built.")
        self._note(image, "built", seconds=seconds, bytes=size)

    def _build_masked(self, image: Image) -> None:
        """Tell what the build says, but for the passwords of where packages are."""
        masker = Masker(self._sources.hidden)
        builder = ImageBuilder(
            self._host,
            self._settings,
            tell=lambda words: self._tell(masker.feed(words)),
            check=self._check,
        )
        try:
            builder.build(image, self._base_id(image), self._sources)
        finally:
            self._tell(masker.end())

    def _base_id(self, image: Image) -> str:
        base = _inspect(self._client, image.base.name) if image.base else None
        return str(base["Id"]) if base else ""

    @contextmanager
    def _alone(self, image: Image) -> Iterator[None]:
        """Hold the lock of an image on its engine, once nobody else does.

        The system takes it from a process that dies.
        """
        name = f"{self._client.info()['ID']}-{image.key}".replace(":", "").lower()
        folder = Path(portal.BUILDS_FOLDER)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (folder / f"{name}.lock").open("a") as file:
            has_waited = False
            while not _lock(file.fileno()):
                if not has_waited:
                    has_waited = True
                    self._tell(b"Another run builds this image; this one waits.\n")
                    self._note(image, "waiting")
                self._check()
                time.sleep(_BEAT)
            yield

    def _note(self, image: Image, state: str, **facts: Any) -> None:
        self._host.write_event(
            self._job, "environment", state=state, key=image.key, **facts
        )

    def _check(self) -> None:
        if self._host.state(self._job)["state"] != "not_started":
            raise CanceledError
        if time.monotonic() > self._deadline:
            raise TargetError(
                f"The image was not built within {self._limit:.0f} seconds.",
                "Submit the run again with more time, or take a smaller environment.",
            )

    def _tell(self, words: bytes) -> None:
        if words:
            self._host.write_log(self._job, words)

    def _tell_if_wanted(self, lines: bytes) -> None:
        self._check()
        self._tell(lines)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _inspect(client: docker.APIClient, name: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = client.inspect_image(name)  # type: ignore[no-untyped-call]
    except NotFound:
        return None
    return found


def _labels(image: dict[str, Any]) -> dict[str, str]:
    return (image.get("Config") or {}).get("Labels") or {}
