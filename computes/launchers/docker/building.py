"""Builds an image on a Docker engine, told and ended as it goes."""

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import docker
from django.conf import settings as portal
from docker.auth import INDEX_URL
from docker.errors import APIError

from aml_portal.errors import PortalError, UserError
from computes.hosts import Host, TargetAwayError
from computes.launchers.docker.breaking_off import broken_off_if
from computes.launchers.docker.clearing import prune
from computes.launchers.docker.engine import asking_alone, words_of
from computes.launchers.docker.images import refusal
from computes.launchers.docker.recipes import (
    KEY,
    PORTAL,
    STAGE,
    Image,
    arguments_of,
    context_of,
    labels_of,
    stage_of,
)
from computes.launchers.docker.settings import DockerSettings
from computes.launchers.recipes import CONTEXT, PackageSources
from computes.runner.reasons import Reason

_COLORS = re.compile(r"\x1b\[[0-9;]*m")
# The engine counts the labels as steps, too.
_STEP = re.compile(r"^Step (\d+)/\d+ : (.+)$")
_CODE = re.compile(r"returned a non-zero code: (\d+)")
# What the engine says of its own.
_ENGINE = ("Step ", " ---> ", "Removing intermediate container", "[Warning]")
# Characters of a line that is looked into.
_LONGEST = 10_000


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
            _remove_left(client, image)
            try:
                with broken_off_if(self._check, break_off):
                    output = self._output(client, image, base, sources, file)
                    self._follow(image, sources, output)
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
                labels=labels_of(image, base),
                buildargs=arguments_of(image, sources),
                network_mode=self._settings.network,
                container_limits={"memory": limit, "memswap": limit} if limit else {},
                use_config_proxy=False,
            )
        except APIError as error:
            if error.status_code != HTTPStatus.BAD_REQUEST:
                raise
            raise UserError(f"The Dockerfile is none: {words_of(error)}.") from error

    def _follow(
        self,
        image: Image,
        sources: PackageSources,
        output: Iterator[Mapping[str, Any]],
    ) -> None:
        """Pass on what the build says to its end. Raises PortalError if it failed."""
        heard = _Heard(image)
        for each in output:
            if "error" in each:
                raise heard.failure(sources.covered(str(each["error"])))
            said = sources.covered(_COLORS.sub("", str(each.get("stream", ""))))
            if said:
                heard.take(said)
                self._tell(said.encode())
        if not heard.is_built:
            raise TargetAwayError("The Docker engine broke off the build of an image.")

    def _clean(self, image: Image) -> None:
        asked = asking_alone(self._host, self._settings.socket, {})
        with asked as (client, _), suppress(APIError):
            _remove_left(client, image)

    def _sign_ins(self) -> dict[str, dict[str, str]]:
        """That of the target's registry, for what a Dockerfile is FROM."""
        registry = self._settings.registry or INDEX_URL
        sign_in = self._settings.sign_in_to(registry)
        return {registry: sign_in} if sign_in else {}


def _remove_left(client: docker.APIClient, image: Image) -> None:
    """Remove the stage that knew the indexes, and what had the name of the image."""
    prune(client, f"{STAGE}={stage_of(image.key)}")
    prune(client, f"{KEY}={image.key}", f"{PORTAL}={portal.PORTAL_ID}")


class _Heard:
    """What a build has said so far."""

    def __init__(self, image: Image) -> None:
        self.is_built = False
        self._image = image
        self._step = self._line = ""
        self._reason = Reason()

    def take(self, said: str) -> None:
        """Some words, which may be a part of a line."""
        *lines, self._line = (self._line[-_LONGEST:] + said).split("\n")
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
        if command.startswith("FROM "):
            return refusal(command.removeprefix("FROM ").partition(" ")[0], error)
        if "no space left" in error:
            return refusal(self._image.name, error)
        why = self._why(error).rstrip(".")
        if self._image.base is None:
            return UserError(
                f"Step {number} of the Dockerfile failed, {command[:200]}: {why}."
            )
        return UserError(f"{why[:1].upper()}{why[1:]}.")

    def _why(self, error: str) -> str:
        code = _CODE.search(error)
        if code is not None:
            return str(self._reason) or f"it ended with exit code {code.group(1)}"
        if self._image.base and f"{CONTEXT}/uv" in error:
            base = self._image.base.name
            return f"uv does not run in the image {base}, which has to have glibc"
        return " ".join(error.split())
