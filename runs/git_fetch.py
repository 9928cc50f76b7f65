"""Fetches one commit of a repository elsewhere, and lays out its files.

The server is a stranger: git talks to the addresses that were looked at and to no
other, runs nothing of what comes, and ends when there is trouble.
"""

import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from aml_portal.errors import PortalError, UserError
from aml_portal.sizes import spell_size
from runs.git_command import GitError, TooMuchError, run_git
from runs.git_failures import explained
from runs.git_folder import COMMIT
from runs.git_remotes import Remote, checked_reference
from runs.git_transport import Key, Login, Transport
from runs.snapshots import Limits
from runs.snapshots.limits import ADVICE
from runs.snapshots.names import show

# Told how many bytes have come so far; what it answers ends the fetching.
Watch = Callable[[int], UserError | None]

_ASK_SECONDS = 60.0
_FETCH_SECONDS = 900.0
_LAY_OUT_SECONDS = 300.0
# The first that can be told which addresses a host has.
_OLDEST_GIT = (2, 37)
_WANTED = "refs/portal/wanted"
_HEADS, _TAGS = "refs/heads/", "refs/tags/"
_SUBMODULE = b"160000"
# Of a list of a tree: mode, kind, name of the object, size and path.
_LINE = re.compile(rb"(\d+) \w+ [0-9a-f]+ +(\d+|-)\t(.*)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A branch, tag or commit by its name, "" for what the server has as its HEAD; and
    a folder of it, "" for all.
    """

    remote: Remote
    reference: str = ""
    folder: str = ""


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """The folder with the files, and the submodules that were not fetched with it."""

    folder: Path
    branch: str
    commit: str
    submodules: list[str]


def fetch(
    wanted: Wanted,
    place: Path,
    *,
    limits: Limits,
    login: Login | Key | None = None,
    watch: Watch = lambda received: None,
) -> Fetched:
    """Fetch into the empty folder `place`. Raises UserError."""
    repository = _Repository.made(
        wanted.remote, place, login=login, limits=limits, watch=watch
    )
    reference = repository.find(wanted.reference)
    commit = repository.fetch(reference)
    tree = f"{commit}:{wanted.folder}"
    submodules = repository.look_at(tree, wanted)
    return Fetched(
        folder=repository.lay_out(tree),
        branch=reference.removeprefix(_HEADS) if reference.startswith(_HEADS) else "",
        commit=commit,
        submodules=submodules,
    )


@dataclass(frozen=True, kw_only=True)
class _Repository:
    """One made for this, which knows nothing but how to reach its remote."""

    remote: Remote
    place: Path
    limits: Limits
    watch: Watch
    has_login: bool
    transport: Transport

    @classmethod
    def made(
        cls,
        remote: Remote,
        place: Path,
        *,
        login: Login | Key | None,
        limits: Limits,
        watch: Watch,
    ) -> Self:
        _check_git()
        repository = cls(
            remote=remote,
            place=place,
            limits=limits,
            watch=watch,
            has_login=login is not None,
            transport=Transport.to(remote, login),
        )
        repository.work.mkdir()
        repository._run("init", "--quiet", "--template=", seconds=_ASK_SECONDS)
        return repository

    @property
    def work(self) -> Path:
        return self.place / "work"

    def find(self, name: str) -> str:
        """The full name of what is called `name` at the server."""
        if COMMIT.fullmatch(name):
            return name
        full = [name] if name.startswith("refs/") else [_HEADS + name, _TAGS + name]
        names = full if name else ["HEAD"]
        found = self._ask(*names)
        if not name:
            return _checked_head(found.get("HEAD", ""))
        for each in names:
            if each in found:
                return each
        raise UserError(
            f"The repository has no branch and no tag “{show(name)}”.",
            "Check its name; a commit is named by all of its 40 digits.",
        )

    def fetch(self, reference: str) -> str:
        """Fetch the one commit that `reference` names; its own name."""
        words = ["--depth=1", "--no-tags", "--no-recurse-submodules", "--progress"]
        refspec = f"{reference}:{_WANTED}"
        try:
            # With --progress, git soon notices when whoever started it was killed.
            self._run("fetch", *words, self.remote.url, refspec, seconds=_FETCH_SECONDS)
            commit = self._run(
                "rev-parse", "--verify", f"{_WANTED}^{{commit}}", seconds=_ASK_SECONDS
            )
        except GitError as error:
            if COMMIT.fullmatch(reference) and _is_not_given(error):
                raise _no_commit(reference, self.remote.place) from error
            raise self._explained(error) from error
        return commit.decode("ascii").strip()

    def look_at(self, tree: str, wanted: Wanted) -> list[str]:
        """The submodules in `tree`; UserError if it is too large, or not there."""
        try:
            listed = self._run(
                "ls-tree", "-r", "-l", "-z", tree, seconds=_LAY_OUT_SECONDS
            )
        except TooMuchError as error:
            raise self._explained(error) from error
        except GitError as error:
            at = wanted.reference or "its default branch"
            raise UserError(
                f"The repository has no folder “{show(wanted.folder)}” at {at}.",
                "Check the name of the folder, in which letter case counts.",
            ) from error
        found = [_LINE.fullmatch(line) for line in listed.split(b"\0")]
        lines = [line.groups() for line in found if line]
        self.limits.check_seen(len(lines))
        if sum(int(size) for _, size, _ in lines if size != b"-") > self._most:
            raise self._too_large()
        return [
            path.decode(errors="replace")
            for mode, _, path in lines
            if mode == _SUBMODULE
        ]

    def lay_out(self, tree: str) -> Path:
        """Write the files of `tree` below a folder that has nothing else in it."""
        try:
            self._run("read-tree", "--reset", "-u", tree, seconds=_LAY_OUT_SECONDS)
        except GitError as error:
            raise self._explained(error) from error
        return self.work

    @property
    def _most(self) -> int:
        return self.limits.max_bytes

    def _ask(self, *names: str) -> dict[str, str]:
        """What each of `names` is at the server: a commit, or "ref: " and a name."""
        words = ["ls-remote", "--symref", self.remote.url, *names]
        try:
            output = self._run(*words, seconds=_ASK_SECONDS)
        except GitError as error:
            raise self._explained(error) from error
        lines = reversed(output.decode(errors="replace").splitlines())
        pairs = [line.split("\t") for line in lines]
        return {pair[1]: pair[0] for pair in pairs if len(pair) == 2}

    def _run(self, *words: str, seconds: float) -> bytes:
        return run_git(
            *words,
            folder=self.place,
            seconds=seconds,
            configuration={
                **self.transport.configuration,
                # However few objects come, they stay in one file.
                "fetch.unpackLimit": "1",
            },
            environment={
                **self.transport.environment,
                "GIT_DIR": str(self._own),
                "GIT_WORK_TREE": str(self.work),
                # In the real one, curl would find the credentials of this account.
                "HOME": str(self.place),
                "XDG_CONFIG_HOME": str(self.place),
            },
            trouble=self._trouble,
        )

    @property
    def _own(self) -> Path:
        return self.place / "repository"

    def _trouble(self) -> UserError | None:
        received = _size_of(self._own / "objects")
        return self._too_large() if received > self._most else self.watch(received)

    def _too_large(self) -> UserError:
        return UserError(
            f"The repository has more than {spell_size(self._most)} at this commit, the"
            " most that a snapshot may hold.",
            ADVICE,
        )

    def _explained(self, error: GitError) -> UserError:
        return explained(error, self.remote, has_login=self.has_login)


def _checked_head(head: str) -> str:
    """What the server says its HEAD is: a commit, or the branch that it names."""
    if not head:
        raise UserError("The repository is empty.", "Push a commit to it first.")
    if COMMIT.fullmatch(head):
        return "HEAD"
    name = head.removeprefix("ref: ")
    return checked_reference(name) if name.startswith(_HEADS) else "HEAD"


def _is_not_given(error: GitError) -> bool:
    return bool(re.search("unadvertised object|not our ref|bad object", error.output))


def _no_commit(commit: str, place: str) -> UserError:
    return UserError(
        f"The repository has no commit {commit[:12]}…, or {place} gives out no commit"
        " but those of branches and tags.",
        "Check the commit, or name a branch or a tag that is at it.",
    )


def _size_of(folder: Path) -> int:
    size = 0
    # Files and folders come and go while git is at work.
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                size += Path(parent, name).lstat().st_size
    return size


@cache
def _check_git() -> None:
    """An older git would look the host up by itself, unseen."""
    said = run_git("version", folder=Path("/"), seconds=_ASK_SECONDS).decode()
    numbers = re.findall(r"\d+", said)
    if tuple(map(int, numbers[:2])) < _OLDEST_GIT:
        oldest = ".".join(map(str, _OLDEST_GIT))
        raise PortalError(
            f"The git of the portal's machine is too old: it has to be {oldest}.",
            "Ask an administrator to install a newer one.",
        )
