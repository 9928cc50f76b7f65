"""Real git repositories for tests, made with an account of their own."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

_ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if "GIT_" not in name},
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}


def git(folder: Path, *words: str, given: bytes = b"") -> str:
    """What `git words…` prints in `folder`."""
    done = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", *words],
        cwd=folder,
        env=_ENVIRONMENT,
        input=given,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode(errors="surrogateescape").removesuffix("\n")


def write(folder: Path, files: Mapping[str, str | bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def repository(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """A new repository on the branch `main`, with one commit of `files`."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    write(folder, files)
    return commit(folder)


def commit(folder: Path, message: str = "Work") -> Path:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", message)
    return folder


def branched(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """A repository of `files` with a branch, two tags, and a commit that only history
    has; `train.py` changes with each commit of `main`.
    """
    repository(folder, files)
    git(folder, "tag", "light")
    git(folder, "tag", "--annotate", "--message=First", "v1.0")
    write(folder, {"train.py": "print(2)\n"})
    commit(folder)
    git(folder, "checkout", "--quiet", "-b", "feature/new")
    write(folder, {"extra.py": "print(3)\n"})
    commit(folder)
    git(folder, "checkout", "--quiet", "main")
    return folder
