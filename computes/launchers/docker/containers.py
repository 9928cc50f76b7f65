"""The containers that jobs run in, as the engine is told to make them."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import docker
from django.conf import settings as portal
from docker.types import ContainerConfig, DeviceRequest, HostConfig, LogConfig, Mount

from computes.hosts import Place
from computes.launchers.docker.settings import DockerSettings, ExtraMount

# Containers are known by these again, also by a portal that has forgotten them.
JOB, FOLDER, PORTAL = "aml-portal.job", "aml-portal.folder", "aml-portal.portal"
# Any engine that is new enough knows this version, or says which ones it knows.
API_VERSION = "1.41"

_NANO = 1_000_000_000
# Beyond the grace of the script, for the runner's last word.
_MARGIN = 10
# The runner writes the log of the script; this is for what keeps the runner from it.
_SHORT_LOG = {"max-size": "64k", "max-file": "1"}
# Where the working folder is that was copied into a container, and what masks there.
_COPIED, _MASKING = "/aml-portal/work", "/aml-portal/masking.py"


def name_of(place: Place) -> str:
    """Of the container of the job that is at `place`."""
    return f"aml-{PurePosixPath(place.folder).name}"


def with_folder(
    client: docker.APIClient,
    spec: Mapping[str, Any],
    place: Place,
    settings: DockerSettings,
) -> dict[str, Any]:
    """What `create_container` is told where the job folder is mounted.

    The runner in it belongs to the account that owns the folder, and so do the files
    that it writes. What the job is, the script can't rewrite: the host goes by that.
    """
    fixed = (place.runner, f"{place.folder}/job.json")
    mounts = [
        *mounts_of([place.folder], settings),
        *(Mount(path, path, type="bind", read_only=True) for path in fixed),
    ]
    return {
        **_plain(spec, place, settings, home=f"{place.folder}/work"),
        "name": name_of(place),
        "entrypoint": [settings.python, "-I", "-S", place.runner],
        "command": ["supervise", place.folder],
        "user": _account(client, place),
        "host_config": _host_config(spec, settings, mounts, log=_SHORT_LOG),
        "working_dir": "/",
        "use_config_proxy": False,
    }


def with_copies(
    spec: Mapping[str, Any], place: Place, settings: DockerSettings
) -> dict[str, Any]:
    """What computes/runner/docked.py tells the engine of a container of a script."""
    plain = _plain(spec, place, settings, home=_COPIED)
    environment = {"PYTHONUNBUFFERED": "1", **plain.pop("environment"), **spec["env"]}
    has_secrets = bool(spec.get("secrets"))
    masking = [spec["argv"][0], "-I", "-S", _MASKING]
    body = ContainerConfig(
        version=API_VERSION,
        **plain,
        environment=environment,
        entrypoint=masking if has_secrets else [],
        stdin_open=has_secrets,
        command=spec["argv"],
        user=f"{place.user}:{place.group}",
        host_config=_host_config(spec, settings, mounts_of([], settings), log={}),
        working_dir=_COPIED,
    )
    return {
        "socket": settings.socket,
        "name": name_of(place),
        "work": _COPIED,
        "masking": _MASKING,
        "user": [place.user, place.group],
        "body": body,
    }


def mounts_of(own: Sequence[str], settings: DockerSettings) -> list[Mount]:
    """The folders `own` where they are, and those of the settings.

    As mounts, since with binds an absent folder would be made, by root.
    """
    extra = ExtraMount.read_all(settings.mounts)
    return [Mount(path, path, type="bind") for path in own] + [
        Mount(each.target, each.source, type="bind", read_only=each.is_read_only)
        for each in extra
    ]


def _plain(
    spec: Mapping[str, Any], place: Place, settings: DockerSettings, *, home: str
) -> dict[str, Any]:
    job = PurePosixPath(place.folder).name
    # Libraries ask for the name of the account, which the image does not know.
    environment = {"HOME": home, "USER": "aml-portal", "LOGNAME": "aml-portal"}
    if spec.get("gpus") == []:
        # Else NVIDIA's runtime, where it is that of all containers, might give all.
        environment["NVIDIA_VISIBLE_DEVICES"] = "void"
    return {
        "image": spec["docker"]["image"],
        "labels": {JOB: job, FOLDER: place.folder, PORTAL: portal.PORTAL_ID},
        "environment": environment,
        "healthcheck": {"test": ["NONE"]},
        "stop_timeout": round(spec["grace_seconds"]) + _MARGIN,
    }


def _account(client: docker.APIClient, place: Place) -> str:
    """The account on the host that owns the job folder, as a container names it."""
    if "name=rootless" in client.info().get("SecurityOptions", ()):
        # There, root of a container is the account that the engine runs in.
        return "0:0"
    return f"{place.user}:{place.group}"


def _host_config(
    spec: Mapping[str, Any],
    settings: DockerSettings,
    mounts: Sequence[Mount],
    *,
    log: Mapping[str, str],
) -> HostConfig:
    return HostConfig(
        version=API_VERSION,
        init=True,
        userns_mode="host",
        mounts=list(mounts),
        network_mode=settings.network,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        log_config=LogConfig(type=LogConfig.types.JSON, config=dict(log)),
        **_limits(spec, settings),
    )


def _limits(spec: Mapping[str, Any], settings: DockerSettings) -> dict[str, Any]:
    limits: dict[str, Any] = {}
    if settings.cpus is not None:
        limits["nano_cpus"] = round(settings.cpus * _NANO)
    if settings.memory_bytes is not None:
        # The same with swap: none.
        limits["mem_limit"] = limits["memswap_limit"] = settings.memory_bytes
    if settings.shared_memory_bytes is not None:
        limits["shm_size"] = settings.shared_memory_bytes
    if gpus := spec.get("gpus"):
        # In the container they are numbered anew, so no variable has to name them.
        numbers = [str(number) for number in gpus]
        wanted = DeviceRequest(device_ids=numbers, capabilities=[["gpu"]])
        limits["device_requests"] = [wanted]
    return limits
