"""The members of an archive, of any kind, as its readers tell of them."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

from runs.snapshots.errors import SnapshotError
from runs.snapshots.ignore import AMLIGNORE, GITIGNORE, LARGEST_FILE, IgnoreRules
from runs.snapshots.limits import Limits
from runs.snapshots.names import is_top, safe_path
from runs.snapshots.store import Readable

# All ignore files of an archive are held at once.
_MOST_RULES = 16 * 1024 * 1024
Kind = Literal["file", "folder", "link", "copy", "other"]


@dataclass(frozen=True, kw_only=True)
class Member:
    """`copy` is a hard link to the file `target()`; `other` is a device or a pipe.

    `open` and `target` are called before the next member is asked for, if at all, and
    raise SnapshotError where the archive can't be read.
    """

    name: str
    kind: Kind
    open: Callable[[], AbstractContextManager[Readable]]
    target: Callable[[], str]
    size: int = 0
    executable: bool = False


class Survey:
    """The first of two readings of an archive: what rules it has, and where its top is.

    Rules may stand at the end, and decide about all that comes before.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._seen = 0
        self._always = IgnoreRules()
        self._tops: set[str] = set()
        self._knows_top = False
        self._files: dict[str, dict[str, bytes]] = {}
        self._rule_bytes = 0

    def look_at(self, member: Member) -> None:
        """Raises SnapshotError for a bad name, or if there is too much."""
        self._seen += 1
        self._limits.check_seen(self._seen)
        if is_top(member.name):
            self._knows_top = True
            return
        path = safe_path(member.name)
        is_folder = member.kind == "folder"
        if self._always.left_out_by(path, is_folder=is_folder):
            return
        self._find_top(path, is_folder=is_folder)
        folder, _, name = path.rpartition("/")
        if name in (AMLIGNORE, GITIGNORE) and member.kind == "file":
            self._keep_rules(folder, name, member)

    def top(self) -> str:
        """The only folder at the top, if nothing lies beside it; else ""."""
        if self._knows_top or len(self._tops) != 1:
            return ""
        return next(iter(self._tops))

    def rules(self) -> IgnoreRules:
        """The rules of all ignore files, for paths below the top."""
        rules = IgnoreRules()
        start = f"{self.top()}/" if self.top() else ""
        for folder in sorted(self._files):
            files = self._files[folder]
            below = f"{folder}/".removeprefix(start).rstrip("/")
            if name := rules.file_in(below, files.keys()):
                rules.add(below, name, files[name])
        return rules

    def _find_top(self, path: str, *, is_folder: bool) -> None:
        first, slash, _ = path.partition("/")
        if slash or is_folder:
            self._tops.add(first)
        else:
            self._knows_top = True

    def _keep_rules(self, folder: str, name: str, member: Member) -> None:
        with member.open() as content:
            text = content.read(LARGEST_FILE + 1)
        self._rule_bytes += len(text)
        if self._rule_bytes > _MOST_RULES:
            raise SnapshotError(
                "The archive has too many ignore files.", "Write fewer of them."
            )
        self._files.setdefault(folder, {})[name] = text
