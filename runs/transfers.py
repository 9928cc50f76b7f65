"""How a snapshot came: how much had to be sent, and what git knows of it."""

from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from django.contrib.sessions.backends.base import SessionBase

from aml_portal.sizes import spell_size
from runs.git_facts import GitFacts
from runs.snapshots import Manifest

_SESSION_KEY = "arrivals"
# A person has so many sources on their way at once, in any number of windows.
_MOST_KEPT = 8


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """The files of a snapshot, and those of them that were new where they went.

    Files of equal content are sent once: `new_files` counts contents.
    """

    files: int
    bytes: int
    new_files: int = 0
    new_bytes: int = 0

    @classmethod
    def of(cls, manifest: Manifest, new: Collection[str]) -> "Transfer":
        """`new` has the SHA-256 of each content that was."""
        sizes = {entry.sha256: entry.size for entry in manifest.files}
        return cls(
            files=manifest.file_count,
            bytes=manifest.total_bytes,
            new_files=sum(sha256 in new for sha256 in sizes),
            new_bytes=sum(size for sha256, size in sizes.items() if sha256 in new),
        )

    def __str__(self) -> str:
        """Such as “1 of 12 files new, 2 kB; 3.2 MB were there already”."""
        files = f"{self.files:,} file{'' if self.files == 1 else 's'}"
        there = spell_size(max(self.bytes - self.new_bytes, 0))
        if not self.new_files:
            return f"nothing new; {files}, {there}, were there already"
        new = f"{self.new_files:,} of {files} new, {spell_size(self.new_bytes)}"
        is_all = self.new_bytes >= self.bytes
        return new if is_all else f"{new}; {there} were there already"


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """What is known of a source from when it came; without facts, git is not in it."""

    transfer: Transfer
    git: GitFacts = field(default_factory=GitFacts)

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Self:
        transfer = Transfer(**found["transfer"])
        return cls(transfer=transfer, git=GitFacts(**found["git"]))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def remember(session: SessionBase, identity: str, arrival: Arrival) -> None:
    """Keep how a snapshot came, until a run is submitted with it.

    How much had to be sent is told of the first time, and of git what is known last.
    """
    kept: dict[str, Any] = session.get(_SESSION_KEY, {})
    if identity in kept:
        first = Arrival.from_json(kept[identity])
        arrival = replace(first, git=arrival.git)
    others = [(name, each) for name, each in kept.items() if name != identity]
    newest = dict(others[-_MOST_KEPT + 1 :])
    session[_SESSION_KEY] = {**newest, identity: arrival.to_json()}


def recall(session: SessionBase, identity: str) -> Arrival | None:
    """What `remember` kept, once; None if the snapshot was not sent just now."""
    kept: dict[str, Any] = session.get(_SESSION_KEY, {})
    if identity not in kept:
        return None
    session[_SESSION_KEY] = {k: v for k, v in kept.items() if k != identity}
    return Arrival.from_json(kept[identity])
