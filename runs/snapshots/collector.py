"""Collects the entries of a source, and keeps to the limits on them."""

from dataclasses import dataclass, field

from runs.snapshots.errors import SnapshotError, TooLargeError
from runs.snapshots.ignore import IgnoreRules, Rule
from runs.snapshots.limits import Limits
from runs.snapshots.manifest import Entry, Manifest, contradiction
from runs.snapshots.members import Member
from runs.snapshots.names import is_top, safe_link, safe_path, show
from runs.snapshots.store import Kept, Readable, Store
from runs.snapshots.warnings import MOST_SEARCHED, secret_text


@dataclass(frozen=True, kw_only=True)
class Intake:
    """What was read: its manifest is in the store, with all that it names.

    `flattened` is the one folder at the top that was taken away, "" if there was none.
    `left_out` says by which rule each path was left out; a folder stands for all in it.
    """

    manifest: Manifest
    flattened: str = ""
    left_out: dict[str, Rule] = field(default_factory=dict)
    # What was found in the texts of files, by path.
    secrets: dict[str, str] = field(default_factory=dict)
    # The SHA-256 of each content that was not in the store before.
    new: set[str] = field(default_factory=set)


class Collector:
    """Asked by a reader, for each thing it meets, whether it is wanted; then given it.

    The limits hold for the bytes that really come, whatever an archive says of itself.
    With a `top`, all that is kept lies below it, and its name is taken away.
    """

    def __init__(
        self, store: Store, limits: Limits, rules: IgnoreRules, *, top: str = ""
    ) -> None:
        self.limits = limits
        self.rules = rules
        self._store = store
        self._top = top
        self._entries: dict[str, Entry] = {}
        self._bytes = 0
        self._name_characters = 0
        self._seen = 0
        self._left_out: dict[str, Rule] = {}
        self._secrets: dict[str, str] = {}
        self._new: set[str] = set()

    def wanted(self, name: str, *, is_folder: bool) -> str | None:
        """The path of what is called `name`; None if it is to be passed over."""
        self._seen += 1
        self.limits.check_seen(self._seen)
        if is_top(name):
            return None
        path = self._below_top(safe_path(name))
        if not path:
            return None
        if rule := self.rules.left_out_by(path, is_folder=is_folder):
            self._leave_out(path, rule)
            return None
        return path

    def take(self, member: Member) -> None:
        """Add a member of an archive, if it is wanted."""
        path = self.wanted(member.name, is_folder=member.kind == "folder")
        if path is None:
            return
        match member.kind:
            case "folder":
                self.add_folder(path)
            case "link":
                self.add_link(path, member.target())
            case "copy":
                self._add_copy(path, member.target())
            case "file":
                with member.open() as content:
                    self.add_file(
                        path, content, size=member.size, executable=member.executable
                    )
            case "other":
                raise no_file(path)

    def add_file(
        self, path: str, content: Readable, *, size: int, executable: bool = False
    ) -> None:
        """`size` is only what is said of it, so that too much need not be read."""
        kept, secret = self.put(path, content, expected=size)
        self.add_known(path, kept.sha256, size=kept.size, executable=executable)
        self.tell_secret(path, secret)

    def put(self, path: str, content: Readable, *, expected: int) -> tuple[Kept, str]:
        """Keep the content of a file, which is `expected` to have so many bytes.

        With it comes what of a secret is in it, such as “a private key”.
        """
        room = self.limits.max_bytes - self._bytes
        if expected > room:
            raise self._too_large(path, expected)
        noticed = _Noticed(content)
        try:
            kept = self._store.put(noticed, limit=room)
        except TooLargeError as error:
            raise self._too_large(path, max(expected, room)) from error
        if kept.is_new:
            self._new.add(kept.sha256)
        return kept, secret_text(noticed.beginning)

    def tell_secret(self, path: str, what: str) -> None:
        """Remember what of a secret was found at `path`, if anything was."""
        if what:
            self._secrets[path] = what

    def add_known(self, path: str, sha256: str, *, size: int, executable: bool) -> None:
        """Add a file whose content is in the store."""
        if size > self.limits.max_bytes - self._bytes:
            raise self._too_large(path, size)
        self._add(Entry(path=path, size=size, executable=executable, sha256=sha256))

    def add_folder(self, path: str) -> None:
        self._add(Entry(path=path, kind="folder"))

    def add_link(self, path: str, target: str) -> None:
        self._add(Entry(path=path, kind="link", target=safe_link(path, target)))

    def intake(self) -> Intake:
        """Keep the manifest of all that was added. Raises SnapshotError."""
        manifest = Manifest.of(self._entries.values())
        if not manifest.files:
            raise _no_files(self._left_out)
        self.limits.check_count(manifest.folder_count)
        self._store.put_manifest(manifest)
        return Intake(
            manifest=manifest,
            flattened=self._top,
            left_out=self._left_out,
            secrets=self._secrets,
            new=self._new,
        )

    def _below_top(self, path: str) -> str:
        """`path` without the top; what lies beside the top is as if it were in it."""
        if path == self._top:
            return ""
        return path.removeprefix(f"{self._top}/") if self._top else path

    def _add_copy(self, path: str, source: str) -> None:
        """Add a file that is the same as one added before."""
        entry = self._entries.get(self._below_top(safe_path(source)))
        if entry is None or entry.kind != "file":
            raise SnapshotError(
                f"“{show(path)}” is a hard link to a file that is not there.",
                "Make the archive again without hard links.",
            )
        self.add_known(path, entry.sha256, size=entry.size, executable=entry.executable)

    def _add(self, entry: Entry) -> None:
        before = self._entries.get(entry.path)
        if before and (before.kind == "folder") != (entry.kind == "folder"):
            raise contradiction(entry.path)
        self._entries[entry.path] = entry
        self._bytes += entry.size
        self._count_name(entry.path + entry.target)
        self.limits.check_count(len(self._entries))

    def _too_large(self, path: str, size: int) -> SnapshotError:
        # A list, since others are added while a large file is read beside them.
        sizes = {entry.path: entry.size for entry in list(self._entries.values())}
        return self.limits.too_large(path, {**sizes, path: size})

    def _leave_out(self, path: str, rule: Rule) -> None:
        """Remember the folder that the rule meant, where it was one."""
        while (folder := path.rpartition("/")[0]) and self.rules.left_out_by(
            folder, is_folder=True
        ):
            path = folder
        if path not in self._left_out:
            self._count_name(path)
            self._left_out[path] = rule

    def _count_name(self, name: str) -> None:
        self._name_characters += len(name)
        self.limits.check_names(self._name_characters)


class _Noticed:
    """A file whose beginning is remembered."""

    def __init__(self, content: Readable) -> None:
        self._content = content
        self.beginning = b""

    def read(self, size: int, /) -> bytes:
        block = self._content.read(size)
        self.beginning = self.beginning or block[:MOST_SEARCHED]
        return block


def _no_files(left_out: dict[str, Rule]) -> SnapshotError:
    """`nothingIn` in static/js/upload/folder.js says the same."""
    if not left_out:
        return SnapshotError("The source holds no files.", "Send one with a script.")
    path, rule = min(left_out.items())
    return SnapshotError(
        "The source holds no files but those that its ignore rules leave out, such as"
        f" “{show(path)}” ({rule}).",
        "Change the rules, or send another source.",
    )


def no_file(path: str) -> SnapshotError:
    return SnapshotError(
        f"“{show(path)}” is a device, a pipe or a socket, not a file.", "Leave it out."
    )
