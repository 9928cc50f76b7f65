"""What the portal knows of a Docker engine and of the containers that it is to make."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from aml_portal.errors import UserError

_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-/:@]{0,254}")
_GIB = 1024**3


@dataclass(frozen=True, kw_only=True)
class DockerSettings:
    """Sizes are in GiB; a limit of None is none. `image` is that of runs without one.

    The sign-in counts for images of `registry` alone, or for those of Docker Hub.
    """

    socket: str = "/var/run/docker.sock"
    image: str = ""
    python: str = "python3"
    registry: str = ""
    registry_user: str = ""
    registry_password: str = field(default="", repr=False)
    cpus: float | None = None
    memory: float | None = None
    shared_memory: float | None = None
    network: str = "bridge"
    mounts: str = ""
    # Whether the engine does not see the host's files.
    copies: bool = False

    @classmethod
    def from_json(cls, *values: Mapping[str, Any]) -> Self:
        known = cls.__dataclass_fields__
        given = {name: each for value in values for name, each in value.items()}
        return cls(**{name: each for name, each in given.items() if name in known})

    def sign_in_to(self, registry: str) -> dict[str, str]:
        """What the engine is to sign in with; empty where nobody has an account."""
        if not self.registry_user:
            return {}
        return {
            "username": self.registry_user,
            "password": self.registry_password,
            "serveraddress": registry,
        }

    @property
    def memory_bytes(self) -> int | None:
        return None if self.memory is None else round(self.memory * _GIB)

    @property
    def shared_memory_bytes(self) -> int | None:
        return None if self.shared_memory is None else round(self.shared_memory * _GIB)


@dataclass(frozen=True, kw_only=True)
class ExtraMount:
    """A folder or file of the host that containers see at `target`."""

    source: str
    target: str
    is_read_only: bool

    @classmethod
    def read_all(cls, text: str) -> list[Self]:
        """From lines such as "/data:/data:ro". Raises UserError."""
        return [cls._read(line) for each in text.splitlines() if (line := each.strip())]

    @classmethod
    def _read(cls, line: str) -> Self:
        source, _, rest = line.partition(":")
        target, _, mode = rest.partition(":")
        absolute = source.startswith("/") and target.startswith("/")
        if not absolute or mode not in ("", "ro", "rw") or not target.strip("/"):
            raise UserError(
                f"“{line}” is no mount.",
                "Write source:target or source:target:ro, with absolute paths.",
            )
        return cls(source=source, target=target, is_read_only=mode == "ro")


def check_image(name: str) -> None:
    """Raise UserError for what can't be the name of an image."""
    if not _IMAGE.fullmatch(name):
        raise UserError(
            f"“{name}” is no name of an image.",
            "Write it as in docker pull, such as python:3.12.",
        )
