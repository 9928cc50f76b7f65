"""Collects the entries of a source, and keeps to the limits on them."""

from dataclasses import dataclass, field, replace

from aml_portal.sizes import spell_size
from runs.snapshots.errors import SnapshotError, TooLargeError
from runs.snapshots.manifest import Entry, Manifest, contradiction
from runs.snapshots.names import is_top, safe_link, safe_path, show
from runs.snapshots.store import Readable, Store

# Never part of what a script needs, and often larger than all of it.
LEFT_OUT = frozenset(
    {
        *(".git", ".venv", "venv", "__pycache__", ".ipynb_checkpoints", "node_modules"),
        *("__MACOSX", ".DS_Store"),
    }
)
# How macOS keeps what a tar archive has no place for.
SHADOW = "._"
_SHOWN_LEFT_OUT = 100
# An archive may hold this many times what a snapshot may, as most may be left out.
_SPARE = 4
# Characters of a path, on average: enough for any real source, and little to keep.
_LONG_NAME = 400
_ADVICE = "Leave out what the script does not need."


@dataclass(frozen=True, kw_only=True)
class Limits:
    max_bytes: int
    max_files: int

    @property
    def most_seen_bytes(self) -> int:
        return _SPARE * self.max_bytes

    @property
    def most_seen_members(self) -> int:
        return _SPARE * self.max_files


@dataclass(frozen=True, kw_only=True)
class Intake:
    """What was read: its manifest is in the store, with all that it names.

    `flattened` is the one folder at the top that was taken away, "" if there was none.
    `left_out` has the first of the paths that were left out, where a folder stands for
    all in it; `left_out_count` is the number of all.
    """

    manifest: Manifest
    flattened: str = ""
    left_out: list[str] = field(default_factory=list)
    left_out_count: int = 0


class Collector:
    """Asked by a reader, for each thing it meets, whether it is wanted; then given it.

    The limits hold for the bytes that really come, whatever an archive says of itself.
    """

    def __init__(self, store: Store, limits: Limits) -> None:
        self.limits = limits
        self._store = store
        self._entries: dict[str, Entry] = {}
        self._bytes = 0
        self._name_bytes = 0
        self._seen = 0
        self._left_out: dict[str, None] = {}
        self._knows_top = False

    def wanted(self, name: str) -> str | None:
        """The path of what is called `name`; None if it is to be passed over."""
        self._seen += 1
        self.check_members(self._seen)
        if is_top(name):
            self._knows_top = True
            return None
        path = safe_path(name)
        parts = path.split("/")
        for place, part in enumerate(parts):
            if part in LEFT_OUT or part.startswith(SHADOW):
                self._leave_out("/".join(parts[: place + 1]))
                return None
        return path

    def add_file(
        self, path: str, content: Readable, *, size: int, executable: bool = False
    ) -> None:
        """`size` is only what is said of it, so that too much need not be read."""
        room = self.limits.max_bytes - self._bytes
        if size > room:
            raise self._too_large(path)
        try:
            sha256, size = self._store.put(content, limit=room)
        except TooLargeError as error:
            raise self._too_large(path) from error
        self._add(Entry(path=path, size=size, executable=executable, sha256=sha256))

    def add_folder(self, path: str) -> None:
        self._add(Entry(path=path, kind="folder"))

    def add_link(self, path: str, target: str) -> None:
        self._add(Entry(path=path, kind="link", target=safe_link(path, target)))

    def add_copy(self, path: str, source: str) -> None:
        """Add a file that is the same as one added before."""
        entry = self._entries.get(safe_path(source))
        if entry is None or entry.kind != "file":
            raise SnapshotError(
                f"“{show(path)}” is a hard link to a file that is not there.",
                "Make the archive again without hard links.",
            )
        if entry.size > self.limits.max_bytes - self._bytes:
            raise self._too_large(path)
        self._add(replace(entry, path=path))

    def check_members(self, count: int) -> None:
        """Raises SnapshotError if there are too many, even if most are unwanted."""
        if count > self.limits.most_seen_members:
            raise self._too_many(self.limits.most_seen_members)

    def intake(self, *, flatten: bool = True) -> Intake:
        """Keep the manifest of all that was added. Raises SnapshotError."""
        entries = list(self._entries.values())
        top = _single_top(entries) if flatten and not self._knows_top else ""
        if top:
            entries = [_below(top, entry) for entry in entries if entry.path != top]
        manifest = Manifest.of(entries)
        if not manifest.files:
            raise SnapshotError("The source holds no files.", "Send one with a script.")
        if manifest.folder_count > self.limits.max_files:
            raise self._too_many(self.limits.max_files)
        self._store.put_manifest(manifest)
        return Intake(
            manifest=manifest,
            flattened=top,
            left_out=list(self._left_out)[:_SHOWN_LEFT_OUT],
            left_out_count=len(self._left_out),
        )

    def _add(self, entry: Entry) -> None:
        before = self._entries.get(entry.path)
        if before and (before.kind == "folder") != (entry.kind == "folder"):
            raise contradiction(entry.path)
        self._entries[entry.path] = entry
        self._bytes += entry.size
        self._count_name(entry.path + entry.target)
        if len(self._entries) > self.limits.max_files:
            raise self._too_many(self.limits.max_files)

    def _leave_out(self, path: str) -> None:
        if path not in self._left_out:
            self._count_name(path)
            self._left_out[path] = None

    def _count_name(self, name: str) -> None:
        """All names are kept in memory; there is room for a thousand at least."""
        self._name_bytes += len(name)
        if self._name_bytes > max(self.limits.max_files, 1000) * _LONG_NAME:
            raise SnapshotError("The names in the source are too long.", _ADVICE)

    def _too_many(self, most: int) -> SnapshotError:
        return SnapshotError(
            f"The source has more than {most:,} files or folders, too many for a"
            " snapshot.",
            _ADVICE,
        )

    def _too_large(self, path: str) -> SnapshotError:
        return SnapshotError(
            f"The source is larger than {spell_size(self.limits.max_bytes)}, the most"
            f" that a snapshot may hold (at “{show(path)}”).",
            _ADVICE,
        )


def _single_top(entries: list[Entry]) -> str:
    """The only folder at the top, if nothing lies beside it."""
    tops = {entry.path.partition("/")[0] for entry in entries}
    if len(tops) != 1:
        return ""
    top = tops.pop()
    return "" if any(e.path == top and e.kind != "folder" for e in entries) else top


def _below(top: str, entry: Entry) -> Entry:
    path = entry.path.removeprefix(f"{top}/")
    if entry.kind == "link":
        safe_link(path, entry.target)
    return replace(entry, path=path)
