"""Sees to it that an engine has the image of a job, before its container is made."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import docker
from django.conf import settings as portal

from aml_portal.durations import spell_duration
from aml_portal.errors import PortalError, TargetError
from computes.hosts import Host, TargetAwayError
from computes.launchers.base import OverdueError, Spec
from computes.launchers.docker.breaking_off import broken_off_if
from computes.launchers.docker.building import ImageBuilder
from computes.launchers.docker.clearing import note_use, remove_unused
from computes.launchers.docker.engine import asking_alone
from computes.launchers.docker.images import facts_of, is_there, pull
from computes.launchers.docker.locks import lock_of
from computes.launchers.docker.recipes import BASE, Image
from computes.launchers.docker.settings import DockerSettings
from computes.launchers.recipes import PackageSources
from computes.runner.masking import Masker

# Seconds from one try to get the lock of an image to the next; many may wait for it.
_BEAT = 1.0


class UnwantedError(Exception):
    """Nobody wants the image any more that is being brought."""


class ImageBringer:
    """Brings the image of one job; what it does is told in the job's log and events."""

    def __init__(
        self,
        host: Host,
        settings: DockerSettings,
        client: docker.APIClient,
        spec: Spec,
        *,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._host = host
        self._settings = settings
        self._client = client
        self._is_wanted = is_wanted
        self._job = str(spec["id"])
        self._limit: float | None = spec.get("max_duration_seconds")
        self._begun = time.monotonic()

    def find(self, image: Image) -> bool:
        """Whether it is there; then the job's events tell so."""
        if image.recipe is None:
            return is_there(self._client, image.name)
        size = self._size(image)
        if size is None:
            return False
        self._tell_found(image, size)
        self._host.write_event(self._job, "prepared")
        return True

    def bring(self, image: Image, sources: PackageSources) -> None:
        """Pull it, or build it, unless that was done meanwhile.

        Raises PortalError, and UnwantedError.
        """
        try:
            self._check()
            size = self._bring(image, sources)
        except TargetAwayError:
            raise
        except PortalError as error:
            self._tell(f"The environment can't be made: {error}\n".encode())
            raise
        if size is not None:
            self._tell_found(image, size)
        self._host.write_event(self._job, "prepared")

    def _bring(self, image: Image, sources: PackageSources) -> int | None:
        """The size of an environment that was there after all."""
        if image.recipe is None:
            if not is_there(self._client, image.name):
                self._pull(image)
            return None
        if image.base is not None:
            self._bring(image.base, sources)
        with self._alone(image):
            # It may have come just before the lock was to be had.
            size = self._size(image)
            if size is None:
                self._build(image, sources)
            return size

    def _tell_found(self, image: Image, size: int) -> None:
        note_use(self._client, image)
        self._note(image, "hit", bytes=size)

    def _size(self, image: Image) -> int | None:
        """If it is there, built on what the name of its base stands for now."""
        found, base = facts_of(self._client, image.name), self._base_id(image)
        if found is None or (base and _labels(found).get(BASE) != base):
            return None
        return int(found["Size"])

    def _pull(self, image: Image) -> None:
        asked = asking_alone(self._host, self._settings.socket, {})
        with asked as (client, break_off), broken_off_if(self._check, break_off):
            pull(client, image.name, self._settings, self._tell)
        if not is_there(self._client, image.name):
            raise TargetAwayError("The Docker engine broke off the pull of an image.")

    def _build(self, image: Image, sources: PackageSources) -> None:
        self._note(image, "building")
        begun = time.monotonic()
        try:
            self._build_masked(image, sources)
        except TargetAwayError:
            raise
        except PortalError:
            self._note(image, "failed")
            raise
        seconds, size = time.monotonic() - begun, self._size(image)
        if size is None:
            raise TargetAwayError("An image was removed as soon as it was built.")
        self._note(image, "built", seconds=seconds, bytes=size)
        for key in remove_unused(self._client, portal.ENVIRONMENTS_MAX_BYTES, image):
            self._host.write_event(self._job, "environment", state="removed", key=key)

    def _build_masked(self, image: Image, sources: PackageSources) -> None:
        """Tell what the build says, but for the passwords of where packages are."""
        masker = Masker(sources.passwords)
        builder = ImageBuilder(
            self._host,
            self._settings,
            tell=lambda words: self._tell(masker.feed(words)),
            check=self._check,
        )
        try:
            builder.build(image, self._base_id(image), sources)
        finally:
            self._tell(masker.end())

    def _base_id(self, image: Image) -> str:
        base = facts_of(self._client, image.base.name) if image.base else None
        return str(base["Id"]) if base else ""

    @contextmanager
    def _alone(self, image: Image) -> Iterator[None]:
        """Hold the lock of an image, once nobody else does."""
        with lock_of(self._client, image.key) as take:
            if not take():
                self._tell(b"Another run builds this image; this one waits.\n")
                self._note(image, "waiting")
                while not take():
                    self._check()
                    time.sleep(_BEAT)
            yield

    def _note(self, image: Image, state: str, **facts: Any) -> None:
        self._host.write_event(
            self._job, "environment", state=state, key=image.key, **facts
        )

    def _check(self) -> None:
        if not self._is_wanted():
            raise UnwantedError
        limit = min(self._limit or portal.IMAGE_MAX_SECONDS, portal.IMAGE_MAX_SECONDS)
        if time.monotonic() < self._begun + limit:
            return
        sentence = f"The image was not there within {spell_duration(round(limit))}."
        if self._limit == limit:
            raise OverdueError(sentence)
        raise TargetError(
            sentence, "An administrator can allow more: AML_PORTAL_IMAGE_MAX_SECONDS."
        )

    def _tell(self, words: bytes) -> None:
        if words:
            self._host.write_log(self._job, words)


def _labels(image: dict[str, Any]) -> dict[str, str]:
    return (image.get("Config") or {}).get("Labels") or {}
