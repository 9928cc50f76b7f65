"""How a machine is reached over SSH, but for its secrets."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class SshSettings:
    """`root` is the working folder there; `~` is the home of `user`."""

    address: str = ""
    port: int = 22
    user: str = ""
    root: str = "~/.aml-portal"
    python: str = "python3"

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        known = cls.__dataclass_fields__
        return cls(**{name: each for name, each in value.items() if name in known})

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.user}@{self.address}" + (f":{self.port}" * (self.port != 22))
