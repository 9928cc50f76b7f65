"""How a machine is reached over SSH, but for its secrets."""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

_HOST_KEY = re.compile(r"(?:ssh-|ecdsa-sha2-)[a-z0-9-]+ [A-Za-z0-9+/]{40,}={0,2}")


@dataclass(frozen=True, kw_only=True)
class SshSettings:
    """`root` is the working folder there; `~` is the home of `user`.

    `agent` says that the keys of the portal's own key agent may sign in.
    """

    address: str = ""
    port: int = 22
    user: str = ""
    agent: bool = False
    root: str = "~/.aml-portal"
    python: str = "python3"

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        known = cls.__dataclass_fields__
        return cls(**{name: each for name, each in value.items() if name in known})

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def whereabouts(self) -> tuple[str, int, str, str]:
        """Where jobs are: with another one of these they would not be found."""
        return self.address, self.port, self.user, self.root

    def __str__(self) -> str:
        return f"{self.user}@{self.address}" + (f":{self.port}" * (self.port != 22))


def fingerprint_of(host_key: str) -> str:
    """Of a key such as "ssh-ed25519 AAAA…", in the spelling of ssh-keygen."""
    data = base64.b64decode(host_key.partition(" ")[2])
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    return f"SHA256:{digest.rstrip('=')}"


def is_host_key(text: str) -> bool:
    if not _HOST_KEY.fullmatch(text):
        return False
    kind, _, data = text.partition(" ")
    try:
        # Each key begins with the length of its kind, and the kind.
        return base64.b64decode(data, validate=True)[4:].startswith(kind.encode())
    except ValueError:
        return False
