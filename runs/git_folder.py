"""Asks git about a folder that anybody may have made.

git never sees the folder's own `.git`, whose configuration can name programs to start:
it is given a repository made here, with the same commit, index and objects.
"""

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from aml_portal.sizes import spell_size
from runs.git_command import GitError, TooMuchError, run_git

COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
LARGEST_PATCH = 10_000_000
_TOO_LARGE = (
    f"# The uncommitted changes are larger than {spell_size(LARGEST_PATCH)}, and were"
    " not kept.\n"
).encode()
_NOT_READ = b"# git could not tell what the uncommitted changes are.\n"
# Before git reads them: files of so much together make no patch of that size.
_MOST_CHANGED = 10 * LARGEST_PATCH
_LARGEST_TEXT = 1024 * 1024
_LARGEST_FILE = 512 * 1024 * 1024
_SECONDS = 60.0
# What is in a submodule is a repository again, whose settings are not to be asked.
_NO_SUBMODULES = "--ignore-submodules=dirty"
# Of the folder's own settings, these say how its files are to be read.
_KEPT_SETTINGS = [
    f"core.{name}" for name in ("autocrlf", "eol", "filemode", "ignorecase", "symlinks")
]


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where the parts of a repository lie; a linked work tree has `own` ones."""

    top: Path
    own: Path
    common: Path


def find_places(folder: Path, within: Path) -> Places | None:
    """The repository that `folder` is in, if it is below `within`."""
    folder, within = folder.resolve(), within.resolve()
    for top in (folder, *folder.parents):
        if not top.is_relative_to(within):
            return None
        if os.path.lexists(top / ".git"):
            return _places_at(top)
    return None


def _places_at(top: Path) -> Places | None:
    dot = top / ".git"
    if dot.is_symlink():
        return None
    if dot.is_dir():
        return Places(top=top, own=dot, common=dot)
    own = (top / _text(dot).removeprefix("gitdir:").strip()).resolve()
    if own.is_relative_to(top) or not _belongs(own, dot):
        return None
    named = _text(own / "commondir")
    common = (own / named).resolve() if named else own
    is_right = common == own or own.is_relative_to(common / "worktrees")
    return Places(top=top, own=own, common=common) if is_right else None


def _belongs(own: Path, dot: Path) -> bool:
    """Whether a repository elsewhere is that of `dot`, and not just named by it.

    Else a file could have the portal tell about any repository that it may read.
    """
    if any(own.is_relative_to(above / ".git/modules") for above in dot.parents):
        return True
    back = _text(own / "gitdir")
    return bool(back) and Path(back).resolve() == dot


class GitFolder:
    """What git knows of a folder; "" or None where it can't tell."""

    def __init__(self, places: Places, folder: Path, made: Path) -> None:
        self._places = places
        self._made = made
        self._path = str(folder.resolve().relative_to(places.top))
        head = _text(places.own / "HEAD")
        reference = head.removeprefix("ref:").strip() if head.startswith("ref:") else ""
        # No part of a name begins with a dot: it stands in for names that are kept in
        # another way ("reftable"), which is not read here.
        self._is_told = "/." not in reference
        reference = reference if self._is_told else ""
        self.branch = _after(reference, "refs/heads/")
        commit = self._commit_of(reference) if reference else head
        self.commit = commit if COMMIT.fullmatch(commit) else ""
        self._make()
        self._settings = self._read_settings()

    @classmethod
    @contextmanager
    def opened(cls, places: Places, folder: Path) -> Iterator[Self]:
        with tempfile.TemporaryDirectory(prefix="git-facts-") as made:
            yield cls(places, folder, Path(made))

    def repository(self) -> str:
        """What `git ls-remote --get-url` says: the address of the default remote."""
        remotes = [
            name[len("remote.") : -len(".url")]
            for name in self._settings
            if name.startswith("remote.") and name.endswith(".url")
        ]
        only = remotes[0] if len(remotes) == 1 else "origin"
        remote = self._settings.get(f"branch.{self.branch}.remote", only)
        return self._instead(self._settings.get(f"remote.{remote}.url", ""))

    def is_dirty(self) -> bool | None:
        if not self._is_told:
            return None
        words = ["status", "--porcelain", "--no-renames", _NO_SUBMODULES]
        try:
            return bool(self._git(*words, most=0))
        except TooMuchError:
            return True
        except GitError:
            return None

    def patch(self) -> bytes:
        """What makes the folder of the commit: `git apply` takes it.

        A remark stands in its place if it is too large.
        """
        try:
            # Fails where git ignores the whole folder; then nothing in it is new.
            with suppress(GitError):
                self._git("add", "--intent-to-add", "--ignore-errors")
            names = self._diff("--name-only", "-z").split(b"\0")[:-1]
            if sum(self._size(name) for name in names) > _MOST_CHANGED:
                return _TOO_LARGE
            return self._diff("--binary", "--full-index", most=LARGEST_PATCH)
        except TooMuchError:
            return _TOO_LARGE
        except GitError:
            return _NOT_READ

    def _diff(self, *words: str, most: int = 32 * LARGEST_PATCH) -> bytes:
        plain = ("--no-ext-diff", "--no-textconv", "--no-renames", "--no-color")
        return self._git("diff", "HEAD", *plain, _NO_SUBMODULES, *words, most=most)

    def _git(self, *words: str, most: int = LARGEST_PATCH) -> bytes:
        kept = {k: v for k, v in self._settings.items() if k in _KEPT_SETTINGS}
        return run_git(
            *(*words, "--", self._path),
            folder=self._places.top,
            seconds=_SECONDS,
            environment={
                "GIT_DIR": str(self._made),
                "GIT_INDEX_FILE": str(self._made / "index"),
                "GIT_LITERAL_PATHSPECS": "1",
                "GIT_OBJECT_DIRECTORY": str(self._made / "objects"),
                "GIT_WORK_TREE": str(self._places.top),
            },
            configuration=kept,
            most=most,
        )

    def _make(self) -> None:
        """A repository like that of the folder, but for its settings."""
        format_ = "[extensions]\nobjectFormat = sha256\n" * (len(self.commit) == 64)
        files = {
            "HEAD": self.commit or "ref: refs/heads/none",
            "config": f"[core]\nrepositoryFormatVersion = 1\n{format_}",
            "objects/info/alternates": f"{self._places.common / 'objects'}\n",
        }
        (self._made / "refs").mkdir()
        (self._made / "objects/info").mkdir(parents=True)
        (self._made / "info").mkdir()
        for name, text in files.items():
            (self._made / name).write_text(text, errors="surrogateescape")
        shared = [path.name for path in self._places.own.glob("sharedindex.*")]
        for name in ("index", *shared):
            _copy(self._places.own / name, self._made / name)
        _copy(self._places.common / "info/exclude", self._made / "info/exclude")

    def _read_settings(self) -> dict[str, str]:
        said = self._made / "said"
        _copy(self._places.common / "config", said)
        words = ("config", "--file", str(said), "--no-includes", "--null", "--list")
        try:
            output = run_git(*words, folder=self._made, seconds=_SECONDS)
        except GitError:
            return {}
        lines = output.decode(errors="replace").split("\0")
        pairs = [line.partition("\n") for line in reversed(lines)]
        # Of several addresses of a remote, the first is meant.
        return {name: value for name, _, value in pairs}

    def _commit_of(self, reference: str) -> str:
        if ".." in reference or reference.startswith("/"):
            return ""
        common = self._places.common
        if loose := _text(common / reference):
            return loose
        packed = _text(common / "packed-refs", _LARGEST_FILE)
        line = rf"^([0-9a-f]+) {re.escape(reference)}$"
        found = re.search(line, packed, re.MULTILINE)
        return found[1] if found else ""

    def _instead(self, url: str) -> str:
        """Apply the longest of the settings like `url.<base>.insteadOf`."""
        bases = [
            (value, name[len("url.") : -len(".insteadof")])
            for name, value in self._settings.items()
            if name.startswith("url.") and name.endswith(".insteadof")
            if value and url.startswith(value)
        ]
        if not bases:
            return url
        prefix, base = max(bases, key=lambda each: len(each[0]))
        return base + url.removeprefix(prefix)

    def _size(self, name: bytes) -> int:
        try:
            return os.lstat(os.fsencode(self._places.top) + b"/" + name).st_size
        except OSError:
            return 0


def _after(text: str, prefix: str) -> str:
    return text.removeprefix(prefix) if text.startswith(prefix) else ""


def _text(path: Path, most: int = _LARGEST_TEXT) -> str:
    return _bytes(path, most).decode(errors="replace").strip()


def _copy(path: Path, to: Path) -> None:
    """Copy a file with its time: of files as young as its index, git reads all."""
    if content := _bytes(path, _LARGEST_FILE):
        to.write_bytes(content)
        with suppress(OSError):
            shutil.copystat(path, to, follow_symlinks=False)


def _bytes(path: Path, most: int) -> bytes:
    """The content of a file; none if it is no file, a link, or larger than `most`."""
    try:
        # No pipe is waited for.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        with os.fdopen(os.open(path, flags), "rb") as file:
            status = os.fstat(file.fileno())
            is_right = stat.S_ISREG(status.st_mode) and status.st_size <= most
            return file.read(most) if is_right else b""
    except (OSError, ValueError):
        return b""
