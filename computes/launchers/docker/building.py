"""Builds an image on a Docker engine, told and ended as it goes."""

import re
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any

import docker
from django.conf import settings as portal
from docker.errors import APIError

from aml_portal.errors import PortalError, UserError
from computes.hosts import Host, TargetAwayError
from computes.launchers.docker.engine import asking_alone, words_of
from computes.launchers.docker.images import refusal
from computes.launchers.docker.recipes import (
    STAGE,
    Image,
    arguments_of,
    context_of,
    labels_of,
)
from computes.launchers.docker.settings import DockerSettings
from computes.launchers.recipes import CONTEXT, PackageSources
from computes.runner.reasons import Reason

# Seconds from one look whether the image is still wanted to the next.
_BEAT = 1.0
_COLORS = re.compile(r"\x1b\[[0-9;]*m")
# The engine counts the labels as steps, too.
_STEP = re.compile(r"^Step (\d+)/\d+ : (.+)$")
_CODE = re.compile(r"returned a non-zero code: (\d+)")
# What the engine says of its own.
_ENGINE = ("Step ", " ---> ", "Removing intermediate container", "[Warning]")
_HUB = "https://index.docker.io/v1/"


class ImageBuilder:
    """`tell` gets what is printed, `check` raises what is to end the build."""

    def __init__(
        self,
        host: Host,
        settings: DockerSettings,
        *,
        tell: Callable[[bytes], None],
        check: Callable[[], None],
    ) -> None:
        self._host = host
        self._settings = settings
        self._tell = tell
        self._check = check

    def build(self, image: Image, base: str, sources: PackageSources) -> None:
        """Have the engine build an image on the one with the id `base`.

        Its name is given to it at the end, so nothing that died half way has one.
        Raises PortalError, and what `check` raises.
        """
        asked = asking_alone(self._host, self._settings.socket, self._sign_ins())
        with tempfile.TemporaryFile() as file, asked as (client, break_off):
            context_of(image, sources, file, python=self._settings.python)
            file.seek(0)
            # Of a build that was killed.
            _remove_stage(client, image)
            try:
                with self._checking(break_off):
                    self._follow(
                        image, self._output(client, image, base, sources, file)
                    )
            finally:
                with suppress(PortalError):
                    self._clean(image)

    def _output(
        self,
        client: docker.APIClient,
        image: Image,
        base: str,
        sources: PackageSources,
        file: Any,
    ) -> Iterator[Mapping[str, Any]]:
        limit = self._settings.memory_bytes
        try:
            yield from client.build(
                fileobj=file,
                custom_context=True,
                decode=True,
                rm=True,
                forcerm=True,
                tag=image.name,
                labels=labels_of(image, base, portal.PORTAL_ID),
                buildargs=arguments_of(image, sources),
                network_mode=self._settings.network,
                container_limits={"memory": limit, "memswap": limit} if limit else {},
                use_config_proxy=False,
            )
        except APIError as error:
            if error.status_code != HTTPStatus.BAD_REQUEST:
                raise
            raise UserError(f"The Dockerfile is none: {words_of(error)}.") from error

    def _follow(self, image: Image, output: Iterator[Mapping[str, Any]]) -> None:
        """Pass on what the build says to its end. Raises PortalError if it failed."""
        heard = _Heard(image)
        for each in output:
            if "error" in each:
                raise heard.failure(str(each["error"]))
            if said := _COLORS.sub("", str(each.get("stream", ""))):
                heard.take(said)
                self._tell(said.encode())
        if not heard.is_built:
            raise TargetAwayError("The Docker engine broke off the build of an image.")

    @contextmanager
    def _checking(self, break_off: Callable[[], None]) -> Iterator[None]:
        """Look every now and then whether to go on; a step may be silent for long."""
        done, found = threading.Event(), list[Exception]()

        def watch() -> None:
            while not done.wait(_BEAT):
                try:
                    self._check()
                except TargetAwayError:
                    # It can't be told now.
                    continue
                except Exception as error:
                    found.append(error)
                    # With that, the engine ends the step and removes its container.
                    break_off()
                    return

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        except Exception:
            if found:
                raise found[0] from None
            raise
        finally:
            done.set()
            thread.join()
        if found:
            raise found[0]

    def _clean(self, image: Image) -> None:
        asked = asking_alone(self._host, self._settings.socket, {})
        with asked as (client, _), suppress(APIError):
            _remove_stage(client, image)

    def _sign_ins(self) -> dict[str, dict[str, str]]:
        """That of the target's registry, for what a Dockerfile is FROM."""
        known = self._settings
        if not known.registry_user:
            return {}
        registry = known.registry or _HUB
        sign_in = {"username": known.registry_user, "serveraddress": registry}
        return {registry: {**sign_in, "password": known.registry_password}}


def _remove_stage(client: docker.APIClient, image: Image) -> None:
    """Remove what has the indexes of the portal in its history, and their files."""
    label = f"{STAGE}={image.key}"
    filters = {"dangling": True, "label": label}
    client.prune_images(filters=filters)  # type: ignore[no-untyped-call]


class _Heard:
    """What a build has said so far."""

    def __init__(self, image: Image) -> None:
        self.is_built = False
        self._image = image
        self._step = self._line = ""
        self._reason = Reason()

    def take(self, said: str) -> None:
        """Some words, which may be a part of a line."""
        *lines, self._line = (self._line + said).split("\n")
        # The engine ends the line of a step in a message of its own.
        for line in lines:
            if _STEP.match(line):
                self._step, self._reason = line, Reason()
            elif line.startswith("Successfully built"):
                self.is_built = True
            elif not line.startswith(_ENGINE):
                self._reason.hear(line)

    def failure(self, error: str) -> PortalError:
        """What the engine said last, in a sentence."""
        if self._line:
            self.take("\n")
        step = _STEP.match(self._step)
        number, command = step.groups() if step else ("", "")
        if command.startswith("FROM ") or "no space left" in error:
            return refusal(command.removeprefix("FROM ").partition(" ")[0], error)
        why = self._why(error).rstrip(".")
        if self._image.base is None:
            return UserError(
                f"Step {number} of the Dockerfile failed, {command[:200]}: {why}."
            )
        return UserError(f"The environment can't be made: {why}.")

    def _why(self, error: str) -> str:
        code = _CODE.search(error)
        if code is not None:
            return str(self._reason) or f"it ended with exit code {code.group(1)}"
        if self._image.base and f"{CONTEXT}/uv" in error:
            base = self._image.base.name
            return f"uv does not run in the image {base}, which has to have glibc"
        return " ".join(error.split())
