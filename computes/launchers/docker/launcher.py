"""Jobs in containers of a Docker engine, each with the runner in it."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Any

import docker
from docker.errors import APIError, NotFound

from aml_portal.errors import TargetError
from computes.hosts import Host, Place, TargetAwayError
from computes.launchers.base import Leftover, Sight, Spec
from computes.launchers.docker.bringing import ImageBringer, UnwantedError
from computes.launchers.docker.clearing import remove_stages
from computes.launchers.docker.containers import (
    FOLDER,
    JOB,
    PORTAL,
    mounts_of,
    name_of,
    with_folder,
)
from computes.launchers.docker.engine import asking, words_of
from computes.launchers.docker.images import (
    check_can_be_pulled,
    is_foreign,
    is_there,
)
from computes.launchers.docker.recipes import Image
from computes.launchers.docker.settings import DockerSettings
from computes.launchers.docker.sights import GONE, sight_of
from computes.launchers.recipes import ImageRecipe, PackageSources

_LAST_LINES = 5
_SOON, _BEAT = 10.0, 0.02


class DockerLauncher:
    """The name of a container is that of its job, so that there is never a second one;
    the runner in it makes sure that a script is never started twice either.
    """

    def __init__(self, host: Host, settings: DockerSettings) -> None:
        self._host = host
        self._settings = settings

    def spec(self, spec: Spec, options: Mapping[str, Any]) -> Spec:
        image = self._image(spec, options.get("image") or "")
        program, *arguments = spec["argv"]
        if program == self._host.place(spec["id"]).python:
            # The Python of the host is not in the image, which has its own.
            program = self._settings.python
        return {
            **spec,
            "argv": [program, *arguments],
            "apart": True,
            "docker": {"image": image.name, "chosen": options.get("image") or ""},
        }

    def find_image(self, job: str, spec: Spec) -> bool:
        with self._asking() as client:
            if self._find(client, self._host.place(job)):
                return True
            bringer = ImageBringer(self._host, self._settings, client, spec)
            return bringer.find(self._image_of(spec))

    def bring_image(
        self,
        job: str,
        spec: Spec,
        sources: PackageSources,
        is_wanted: Callable[[], bool],
    ) -> bool:
        with self._asking() as client, suppress(UnwantedError):
            bringer = ImageBringer(
                self._host, self._settings, client, spec, is_wanted=is_wanted
            )
            bringer.bring(self._image_of(spec), sources)
            return True
        return False

    def start(self, job: str, spec: Spec) -> dict[str, Any]:
        place = self._host.place(job)
        with self._asking() as client:
            container = self._find(client, place)
            if container is None:
                container = self._make(client, spec, place)
            # One that has ended is not started again: it was started already.
            if container["State"]["Status"] == "created":
                _start(client, container["Id"])
            return {"container": container["Id"]}

    def look(self, jobs: Collection[str]) -> Mapping[str, Sight]:
        with self._asking() as client:
            there = {each["Labels"][JOB]: each for each in self._all(client)}
            return {
                job: _sight(client, there[job]) if job in there else GONE
                for job in jobs
            }

    def end(self, job: str) -> None:
        with self._asking() as client:
            if container := self._find(client, self._host.place(job)):
                _end(client, container)
            # What a build that was killed has left goes with the run that needed it.
            remove_stages(client)

    def leftovers(self) -> list[Leftover]:
        with self._asking() as client:
            return [_leftover(each) for each in self._all(client)]

    def checks(self) -> Mapping[str, Callable[[], str]]:
        return {
            "Docker engine": self._check_engine,
            "Image": self._check_image,
            "Job folders": self._check_folders,
        }

    def _asking(self) -> AbstractContextManager[docker.APIClient]:
        return asking(self._host, self._settings.socket)

    def _find(self, client: docker.APIClient, place: Place) -> dict[str, Any] | None:
        """The container of a job; None where its name is that of somebody else's."""
        found = _inspect(client, name_of(place))
        return found if found and _is_of(found, place) else None

    def _all(self, client: docker.APIClient) -> Iterator[dict[str, Any]]:
        """Those of this portal, whose job folders are where the host has them."""
        jobs = PurePosixPath(self._host.place("any").folder).parent
        for each in client.containers(all=True, filters={"label": [JOB, FOLDER]}):
            if PurePosixPath(each["Labels"][FOLDER]).parent == jobs:
                yield each

    def _image(self, spec: Spec, chosen: str) -> Image:
        """The image of a job; `chosen` is the one that the run names, if it does."""
        recipe = ImageRecipe.from_json(spec.get("image") or {})
        return Image.of(recipe, chosen=chosen, default=self._settings.image)

    def _image_of(self, spec: Spec) -> Image:
        """The image of a staged job."""
        return self._image(spec, spec["docker"]["chosen"])

    def _make(
        self, client: docker.APIClient, spec: Spec, place: Place
    ) -> dict[str, Any]:
        """Make the container of a job; if another process just did so, that one is it.

        Raises TargetError where the name is that of somebody else's container.
        """
        config = with_folder(client, spec, place, self._settings)
        try:
            client.create_container(**config)
        except APIError as error:
            if "no such image" in words_of(error).lower():
                raise TargetAwayError("The image was just removed.") from error
            if error.status_code != HTTPStatus.CONFLICT:
                raise _refusal(error, place) from error
        # Its name is taken a moment before it can be found.
        deadline = time.monotonic() + _SOON
        while (made := _inspect(client, name_of(place))) is None:
            if time.monotonic() > deadline:
                raise TargetAwayError("The Docker engine is still making a container.")
            time.sleep(_BEAT)
        if not _is_of(made, place):
            raise TargetError(
                f"The engine has a container {name_of(place)} that is not of this"
                " portal.",
                "Remove or rename that one.",
            )
        return made

    def _check_engine(self) -> str:
        with self._asking() as client:
            said = client.version()
        return (
            f"Docker {said['Version']} (API {said['ApiVersion']}),"
            f" {said['Os']}/{said['Arch']}."
        )

    def _check_image(self) -> str:
        image = self._settings.image
        with self._asking() as client:
            if is_there(client, image):
                return f"{image} is there."
            check_can_be_pulled(client, image, self._settings)
        return f"{image} is not there yet, and can be pulled."

    def _check_folders(self) -> str:
        """Make a container that is never started, with the folder of the runner."""
        image, place = self._settings.image, self._host.place("any")
        with self._asking() as client:
            if not is_there(client, image):
                return "A run will tell, once its image is there."
            try:
                made = client.create_container(
                    image,
                    ["true"],
                    host_config=client.create_host_config(
                        mounts=mounts_of([place.runner], self._settings)
                    ),
                )
            except APIError as error:
                raise _refusal(error, place) from error
            _remove(client, made["Id"])
        return "The engine sees the folders of the host."


def _inspect(client: docker.APIClient, name: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = client.inspect_container(name)
    except NotFound:
        return None
    return found


def _is_of(container: dict[str, Any], place: Place) -> bool:
    labels = container["Config"]["Labels"] or {}
    return bool(labels.get(FOLDER) == place.folder)


def _start(client: docker.APIClient, container: str) -> None:
    try:
        client.start(container)
    except APIError as error:
        _remove(client, container)
        raise _refusal(error) from error


def _end(client: docker.APIClient, container: dict[str, Any]) -> None:
    if container["State"]["Paused"]:
        # What is frozen can't be killed.
        with suppress(APIError):
            client.unpause(container["Id"])
    _remove(client, container["Id"])


def _remove(client: docker.APIClient, container: str) -> None:
    """With the volumes that its image had made for it; absent is fine."""
    try:
        client.remove_container(container, force=True, v=True)
    except APIError as error:
        # It may just be removed by somebody else.
        if error.status_code not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
            raise


def _sight(client: docker.APIClient, listed: dict[str, Any]) -> Sight:
    if listed["State"] in ("created", "running"):
        return Sight()
    try:
        container = client.inspect_container(listed["Id"])
        said = client.logs(listed["Id"], tail=_LAST_LINES)
    except NotFound:
        return GONE
    lines = [
        line for line in said.decode(errors="replace").splitlines() if line.strip()
    ]
    return sight_of(
        container,
        last_words=lines[-1] if lines else "",
        is_foreign=is_foreign(client, container["Image"]),
    )


def _leftover(listed: dict[str, Any]) -> Leftover:
    name = listed["Names"][0].lstrip("/") if listed["Names"] else listed["Id"][:12]
    return Leftover(
        job=listed["Labels"][JOB],
        words=f"Container {name} of {listed['Image']}: {listed['Status']}",
        since=datetime.fromtimestamp(listed["Created"], UTC),
        portal=listed["Labels"].get(PORTAL, ""),
    )


def _refusal(error: APIError, place: Place | None = None) -> TargetError:
    """What kept the engine from making or starting a container, in a sentence."""
    said = words_of(error)
    if "select device driver" in said:
        return TargetError(
            "The Docker engine gives containers no GPUs.",
            "Install the NVIDIA Container Toolkit there.",
        )
    absent = said.partition("source path does not exist: ")[2]
    if place and absent in (place.folder, place.runner):
        return TargetError(
            "The Docker engine does not see the host's files: it is elsewhere.",
            "Attach the machine that it runs on.",
        )
    if absent:
        return TargetError(
            f"A mount of the target is absent there: {absent}.",
            "Correct the target's mounts.",
        )
    return TargetError(f"The Docker engine makes no container: {said}.")
