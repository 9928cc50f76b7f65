"""The GPUs of a machine: which of them runs may use, and who uses them already."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aml_portal.errors import UserError
from aml_portal.sizes import spell_size

# A process with less has only looked at the device, and a device that is idle has less
# than that of its memory in use.
_SOME = 100 << 20
_UNEXPLAINED = 1 << 30
_PART = re.compile(r"(\d{1,3})(?:\s*-\s*(\d{1,3}))?")
_MOST = 256


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A device as nvidia-smi told of it; sizes in bytes, None where it did not.

    `users` have the accounts whose processes hold memory there, and how much; an empty
    name where that can't be told.
    """

    index: int
    name: str = ""
    memory: int | None = None
    memory_used: int | None = None
    util_percent: float | None = None
    users: Mapping[str, int | None]

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "Gpu":
        return cls(
            index=told["index"],
            name=told["name"],
            memory=told["memory"],
            memory_used=told["memory_used"],
            util_percent=told["util_percent"],
            users=_users(told),
        )

    @property
    def is_used(self) -> bool:
        return bool(self.users)

    @property
    def use(self) -> str:
        """By whom: "anna (12 GB) and bert (300 MB)"; empty if by nobody."""
        return " and ".join(
            f"{user or 'somebody'} ({spell_size(used)})"
            if used is not None
            else user or "somebody"
            for user, used in self.users.items()
        )

    @property
    def free_memory(self) -> int:
        return (self.memory or 0) - (self.memory_used or 0)


def _users(told: Mapping[str, Any]) -> dict[str, int | None]:
    used: dict[str, int | None] = {}
    for process in told.get("processes", ()):
        memory, owner = process["memory"], process["owner"]
        if memory is None:
            used.setdefault(owner, None)
        elif memory > _SOME:
            used[owner] = (used.get(owner) or 0) + memory
    # Processes of other containers are not shown, and their memory is.
    if not used and (told.get("memory_used") or 0) > _UNEXPLAINED:
        used[""] = told["memory_used"]
    return used


def parse_choice(text: str) -> list[int] | None:
    """The numbers of devices that `text` says, None for all. Raises UserError."""
    text = text.strip().lower()
    if not text:
        return None
    if text == "none":
        return []
    found: Counter[int] = Counter()
    for part in text.split(","):
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise UserError(
                f"“{part.strip()}” is no number of a GPU.",
                "Write them like “0, 2-3”, or “none”; leave it empty for all.",
            )
        first, last = int(match[1]), int(match[2] or match[1])
        found.update(range(first, last + 1))
    wrong = [index for index, count in found.items() if count > 1 or index >= _MOST]
    if wrong or not found:
        raise UserError(
            f"The GPUs “{text}” can't be.",
            "Give each number once, the lower one of a range first.",
        )
    return sorted(found)


def chosen(choice: str, look: Mapping[str, Any]) -> list[Gpu]:
    """Those of the devices that were seen which runs may use.

    Where there is no nvidia-smi, those are there that were named.
    """
    wanted = parse_choice(choice)
    if wanted is not None and look.get("has_tool") is False:
        return [Gpu(index=index, users={}) for index in wanted]
    seen = [Gpu.from_json(told) for told in look.get("devices", ())]
    return [gpu for gpu in seen if wanted is None or gpu.index in wanted]
