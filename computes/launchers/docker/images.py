"""Brings images to a Docker engine, and tells on the way how far it is."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import docker
from docker.auth import INDEX_NAME, resolve_repository_name
from docker.errors import APIError, DockerException, NotFound

from aml_portal.errors import TargetError, UserError
from aml_portal.sizes import spell_size
from computes.hosts import plain
from computes.launchers.docker.engine import words_of
from computes.launchers.docker.settings import DockerSettings

# Seconds from one piece of the progress to the next.
_BEAT = 0.5
# No image has as many, but an engine may say anything.
_MOST_LAYERS = 1000
# What layers say that nobody needs to know.
_UNSAID = {"Pulling fs layer", "Waiting", "Verifying Checksum", "Download complete"}
# What registries say, in parts, to what is meant by it.
_NOT_THERE = (
    "not found",
    "manifest unknown",
    "does not exist",
    "access to the resource",
)
_NO_SIGN_IN = ("unauthorized", "authentication required", "no basic auth", "incorrect")
_NO_ROOM = ("no space left", "disk quota")
_OTHER_PLATFORM = ("no matching manifest", "does not match the specified platform")
_AWAY = ("dial tcp", "timeout", "no such host", "tls:", "x509", "connection reset")

Tell = Callable[[bytes], None]


def facts_of(client: docker.APIClient, image: str) -> dict[str, Any] | None:
    """What the engine knows of an image, by its name or id; None if it is not there."""
    try:
        facts: dict[str, Any] = client.inspect_image(image)  # type: ignore[no-untyped-call]
    except NotFound:
        return None
    return facts


def is_there(client: docker.APIClient, image: str) -> bool:
    try:
        return facts_of(client, image) is not None
    except APIError as error:
        raise refusal(image, words_of(error)) from error


def is_foreign(client: docker.APIClient, image: str) -> bool:
    """Whether it was built for another processor than that of the engine.

    It may work all the same, where the machine emulates that one.
    """
    facts = facts_of(client, image)
    return bool(facts and facts["Architecture"] != client.version()["Arch"])


def pull(
    client: docker.APIClient, image: str, settings: DockerSettings, tell: Tell
) -> None:
    """Bring an image to the engine; `tell` gets lines about that every now and then.

    What `tell` raises ends it. Raises UserError or TargetError.
    """
    login = _login(image, settings)
    try:
        for lines in _in_pieces(_lines(client, image, login)):
            tell(lines)
    except APIError as error:
        raise refusal(image, words_of(error)) from error


def check_can_be_pulled(
    client: docker.APIClient, image: str, settings: DockerSettings
) -> None:
    """Ask the registry for an image, but don't bring it. Raises PortalError."""
    try:
        login = _login(image, settings)
        client.inspect_distribution(image, login)  # type: ignore[no-untyped-call]
    except APIError as error:
        raise refusal(image, words_of(error)) from error


def _login(image: str, settings: DockerSettings) -> dict[str, str]:
    """The sign-in for the registry of an image, and for no other one.

    Whoever submits a run chooses the image, and with it who would be told the password.
    An empty one keeps the library from looking for one in the account of the portal.
    """
    try:
        registry, _ = resolve_repository_name(image)
    except DockerException as error:
        raise UserError(f"“{image}” is no name of an image: {error}.") from error
    if registry != (settings.registry or INDEX_NAME):
        return {}
    return settings.sign_in_to(registry)


def _lines(
    client: docker.APIClient, image: str, login: dict[str, str]
) -> Iterator[str]:
    """Pull, with a line for each thing that happens, not for each bit of it."""
    known: dict[str, str] = {}
    yield f"Pulling the image {image}"
    for each in client.pull(image, stream=True, decode=True, auth_config=login):
        if "error" in each:
            raise refusal(image, str(each["error"]))
        layer, status = each.get("id", ""), each.get("status", "")
        # Without this it is about the image, whose name was said.
        is_layer = "progressDetail" in each
        if is_layer and status not in _UNSAID and known.get(layer) != status:
            if len(known) >= _MOST_LAYERS:
                known.clear()
            known[layer] = status
            total = each["progressDetail"].get("total")
            yield f"{layer}: {status}" + (f" {spell_size(total)}" if total else "")
    yield f"The image {image} is there"


def _in_pieces(lines: Iterator[str]) -> Iterator[bytes]:
    """The lines that come within a moment, together."""
    piece, due = b"", 0.0
    for line in lines:
        piece += line.encode() + b"\n"
        if time.monotonic() >= due:
            yield piece
            piece, due = b"", time.monotonic() + _BEAT
    if piece:
        yield piece


def refusal(image: str, said: str) -> UserError | TargetError:
    """What the engine or the registry said, in a sentence."""
    said = plain(said)
    words = said.lower()

    def says(parts: tuple[str, ...]) -> bool:
        return any(part in words for part in parts)

    if says(_OTHER_PLATFORM):
        return UserError(
            f"There is no image {image} for the processor of this target.",
            "Take one that was built for it.",
        )
    if says(_NO_SIGN_IN):
        return TargetError(
            f"The registry of the image {image} does not let the portal sign in.",
            "Check the registry's address, user and password in the target's settings.",
        )
    if says(_NO_ROOM):
        return TargetError(
            f"There is no room on the disk of the Docker engine for {image}.",
            "Free some space there, for example with docker system prune.",
        )
    if says(_AWAY):
        return TargetError(
            f"The registry of the image {image} can't be reached: {said}.",
            "Check the name of the image, and the network of the target.",
        )
    if says(_NOT_THERE):
        return UserError(
            f"There is no image {image}, or it needs a sign-in.",
            "Check its name and its tag.",
        )
    return TargetError(f"The image {image} can't be had: {said}.")
