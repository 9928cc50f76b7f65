"""Repositories of a real git server, as they are fetched from it."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from aml_portal.errors import PortalError, UserError
from runs import git_command, git_fetch, git_transport
from runs.git_fetch import Fetched, Wanted, fetch
from runs.git_remotes import Remote
from runs.git_transport import Login
from runs.snapshots import Limits
from tests.runs.sources import LIMITS
from tests.services.git import branched, commit, git, repository, write
from tests.services.git_server import GitServer, make_certificate, serving

_FILES = {"train.py": "print(1)\n", "src/deep/model.py": "x = 1\n", "src/run.sh": "ls"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return branched(tmp_path / "served" / "project", _FILES)


@pytest.fixture
def server(tmp_path: Path, settings: Settings) -> Iterator[GitServer]:
    settings.GIT_HOSTS = ["127.0.0.1"]
    with serving(GitServer(tmp_path / "served")) as server:
        yield server


Get = Callable[..., Fetched]


@pytest.fixture
def get(tmp_path: Path, project: Path, server: GitServer) -> Get:
    """Fetch from the server, each time into a folder of its own."""
    places = iter(range(100))

    def get(
        reference: str = "",
        folder: str = "",
        *,
        url: str = "",
        limits: Limits = LIMITS,
        **more: Any,
    ) -> Fetched:
        place = tmp_path / f"place-{next(places)}"
        place.mkdir()
        remote = Remote.parse(url or f"{server.url}/project/.git")
        wanted = Wanted(remote=remote, reference=reference, folder=folder)
        return fetch(wanted, place, limits=limits, **more)

    return get


def files(fetched: Fetched) -> dict[str, str]:
    return {
        str(path.relative_to(fetched.folder)): path.read_text()
        for path in fetched.folder.rglob("*")
        if path.is_file()
    }


def test_the_default_branch(get: Get, project: Path) -> None:
    fetched = get()
    assert files(fetched) == {**_FILES, "train.py": "print(2)\n"}
    assert fetched.branch == "main"
    assert fetched.commit == git(project, "rev-parse", "main")


def test_a_branch(get: Get, project: Path) -> None:
    fetched = get("feature/new")
    assert files(fetched)["extra.py"] == "print(3)\n"
    assert fetched.branch == "feature/new"
    assert fetched.commit == git(project, "rev-parse", "feature/new")


@pytest.mark.parametrize("name", ["light", "v1.0", "refs/tags/v1.0"])
def test_a_tag(get: Get, project: Path, name: str) -> None:
    fetched = get(name)
    assert files(fetched) == _FILES
    assert fetched.branch == ""
    assert fetched.commit == git(project, "rev-parse", "light")


def test_a_branch_is_preferred_to_a_tag_of_its_name(get: Get, project: Path) -> None:
    git(project, "branch", "light", "feature/new")
    assert get("light").branch == "light"


@pytest.mark.parametrize("name", ["light", "main", "feature/new"])
def test_a_commit(get: Get, project: Path, name: str) -> None:
    commit_id = git(project, "rev-parse", f"{name}^{{commit}}")
    fetched = get(commit_id)
    assert fetched.commit == commit_id
    assert fetched.branch == ""


def test_nothing_but_one_commit_is_fetched(
    get: Get, project: Path, tmp_path: Path
) -> None:
    get()
    repository = tmp_path / "place-0" / "repository"
    assert git(repository, "rev-list", "--all", "--count") == "1"


def test_a_server_that_gives_out_no_commits_by_id(
    get: Get, project: Path, server: GitServer
) -> None:
    server.knows_v2 = False
    commit(commit(project))
    old = git(project, "rev-parse", "main~1")
    with pytest.raises(UserError, match=f"no commit {old[:12]}…, or 127"):
        get(old)
    newest = git(project, "rev-parse", "main")
    assert get(newest).commit == newest


@pytest.mark.parametrize("name", ["nothing", "0" * 40, "light/x", "refs/heads/v1.0"])
def test_a_reference_that_is_not_there(get: Get, name: str) -> None:
    with pytest.raises(UserError, match=r"has no (branch|commit)"):
        get(name)


def test_a_folder(get: Get) -> None:
    assert files(get("", "src")) == {"deep/model.py": "x = 1\n", "run.sh": "ls"}
    assert files(get("", "src/deep")) == {"model.py": "x = 1\n"}


@pytest.mark.parametrize("folder", ["nothing", "SRC", "train.py", "src/run.sh", "*"])
def test_a_folder_that_is_not_there(get: Get, folder: str) -> None:
    with pytest.raises(UserError, match="The repository has no folder"):
        get("main", folder)


def test_a_repository_that_is_not_there(get: Get, server: GitServer) -> None:
    with pytest.raises(UserError, match="There is no repository at this address"):
        get(url=f"{server.url}/nothing")


def test_an_empty_repository(get: Get, server: GitServer) -> None:
    git(server.root, "init", "--quiet", "empty")
    with pytest.raises(UserError, match="The repository is empty"):
        get(url=f"{server.url}/empty/.git")


def test_submodules_are_told_and_not_fetched(
    get: Get, project: Path, server: GitServer
) -> None:
    other = repository(server.root / "other", {"secret.py": "1"})
    git(project, "submodule", "--quiet", "add", str(other), "src/libs/other")
    commit(project)
    seen = len(server.seen)
    fetched = get()
    assert fetched.submodules == ["src/libs/other"]
    assert not [path for path in files(fetched) if "secret" in path]
    assert all("/project/" in path for path in server.seen[seen:])


def test_files_are_as_a_clone_has_them(get: Get, project: Path) -> None:
    write(project, {".gitattributes": "*.txt eol=crlf\n*.bin filter=evil\n"})
    write(project, {"a.txt": "one\ntwo\n", "b.bin": "three"})
    (project / "link").symlink_to("a.txt")
    (project / "src" / "run.sh").chmod(0o755)
    git(project, "config", "filter.evil.smudge", "touch /tmp/evil")
    commit(project)
    fetched = get()
    assert (fetched.folder / "a.txt").read_bytes() == b"one\r\ntwo\r\n"
    assert (fetched.folder / "b.bin").read_bytes() == b"three"
    assert (fetched.folder / "link").readlink() == Path("a.txt")
    assert (fetched.folder / "src" / "run.sh").stat().st_mode & 0o100


def test_more_than_a_snapshot_holds_is_not_fetched(get: Get, project: Path) -> None:
    write(project, {"noise.bin": os.urandom(9_000_000)})
    commit(project)
    with pytest.raises(UserError, match=r"has more than 8\.4 MB at this commit"):
        get()


def test_what_is_large_only_when_it_is_laid_out(
    get: Get, project: Path, tmp_path: Path
) -> None:
    write(project, {"zeros.bin": bytes(9_000_000)})
    commit(project)
    with pytest.raises(UserError, match=r"has more than 8\.4 MB at this commit"):
        get()
    assert not (tmp_path / "place-0" / "work" / "train.py").exists()


def test_a_tree_that_is_in_itself_a_thousand_times_over(
    get: Get, project: Path
) -> None:
    """A few objects that stand for a thousand million files."""
    tree = git(project, "rev-parse", "main:src")
    for _ in range(9):
        lines = "".join(f"040000 tree {tree}\td{n}\n" for n in range(10))
        tree = git(project, "mktree", given=lines.encode())
    bomb = git(project, "commit-tree", "-m", "Bomb", tree)
    git(project, "branch", "bomb", bomb)
    with pytest.raises(UserError, match="more names than the portal reads"):
        get("bomb")


def test_a_commit_that_would_fill_the_memory(
    get: Get, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree, words = git(project, "rev-parse", "main:src"), b"x" * 200_000_000
    git(project, "branch", "bomb", git(project, "commit-tree", tree, given=words))
    monkeypatch.setattr(git_command, "_MOST_MEMORY", 150_000_000)
    assert files(get("main"))
    with pytest.raises(UserError, match="takes more memory than the portal gives"):
        get("bomb")


# Servers that can't be reached, or not be trusted.


def test_the_portal_s_own_network_is_not_asked(
    get: Get, server: GitServer, settings: Settings
) -> None:
    settings.GIT_HOSTS = []
    with pytest.raises(UserError, match="is in the portal's own or in a private"):
        get()
    assert server.seen == []


def test_only_what_was_looked_at_is_asked(
    get: Get, server: GitServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is looked up once more may mean another address by then."""
    settings.GIT_HOSTS = ["127.0.0.2"]
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    port = server.url.rpartition(":")[2]
    with pytest.raises(UserError, match="can't be reached"):
        get(url=f"http://localhost:{port}/project/.git")
    assert server.seen == []
    settings.GIT_HOSTS = ["127.0.0.1"]
    answers[0] = (*answers[0][:4], ("127.0.0.1", 0))
    assert get(url=f"http://git.example.test:{port}/project/.git").commit


def test_a_redirect_is_not_followed(
    get: Get, server: GitServer, tmp_path: Path
) -> None:
    with serving(GitServer(tmp_path / "served")) as elsewhere:
        server.redirect_to = elsewhere.url
        with pytest.raises(UserError, match="says that the repository is at another"):
            get()
    assert server.seen
    assert elsewhere.seen == []


def test_plain_http_is_for_hosts_that_are_allowed(
    get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("140.82.121.4", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    with pytest.raises(UserError, match="Over http:// anybody on the way could"):
        get(url="http://github.com/team/project")


def test_a_server_that_never_answers(
    get: Get, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.is_silent = True
    monkeypatch.setattr(git_transport, "_SILENCE", 1)
    with pytest.raises(UserError, match="did not answer, or became silent"):
        get()


def test_a_server_that_goes_on_for_ever(
    get: Get, server: GitServer, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project, {"noise.bin": os.urandom(1_000_000)})
    commit(project)
    server.holds = True
    monkeypatch.setattr(git_fetch, "_FETCH_SECONDS", 1.0)
    with pytest.raises(UserError, match="did not answer, or became silent"):
        get()


def test_a_server_that_is_not_there(get: Get) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(UserError, match="can't be reached from the portal"):
        get(url=f"http://127.0.0.1:{port}/project")


def test_whoever_watches_can_end_it(get: Get, server: GitServer) -> None:
    server.is_silent = True
    with pytest.raises(UserError, match="Enough"):
        get(watch=lambda received: UserError("Enough."))


def test_an_old_git_is_refused(get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    git_fetch._check_git.cache_clear()
    monkeypatch.setattr(git_fetch, "_OLDEST_GIT", (99, 0))
    with pytest.raises(PortalError, match=r"too old: it has to be 99\.0"):
        get()


# Credentials.

_LOGIN = Login(user="ada", secret="ghp_a/very secret-token")


@pytest.fixture
def private(
    tmp_path: Path, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GitServer]:
    """One that speaks TLS and gives out nothing to strangers."""
    certificate = make_certificate(tmp_path, "127.0.0.1", "localhost")
    monkeypatch.setenv("GIT_SSL_CAINFO", str(certificate.public))
    private = GitServer(tmp_path / "served", login=(_LOGIN.user, _LOGIN.secret))
    with serving(private, certificate=certificate.file) as private:
        yield private


def test_a_private_repository(get: Get, private: GitServer, tmp_path: Path) -> None:
    fetched = get(url=f"{private.url}/project/.git", login=_LOGIN)
    assert files(fetched)["train.py"] == "print(2)\n"
    kept = [path for path in tmp_path.glob("place-0/**/*") if path.is_file()]
    assert kept
    assert not [path for path in kept if b"secret-token" in path.read_bytes()]


def test_a_private_repository_without_a_credential(
    get: Get, private: GitServer
) -> None:
    with pytest.raises(UserError, match="wants credentials for this") as raised:
        get(url=f"{private.url}/project/.git")
    assert "under Git credentials" in raised.value.advice


def test_no_credential_goes_over_plain_http(
    get: Get, server: GitServer, project: Path
) -> None:
    server.login = ("ada", "secret")
    with pytest.raises(UserError, match="which are not sent over http://"):
        get()


def test_a_wrong_credential(get: Get, private: GitServer) -> None:
    wrong = Login(user="ada", secret="wrong-secret")
    with pytest.raises(UserError, match="refuses your credential") as raised:
        get(url=f"{private.url}/project/.git", login=wrong)
    assert "wrong-secret" not in str(raised.value)
    assert "wrong-secret" not in repr(wrong)


def test_a_certificate_that_nobody_vouches_for(
    get: Get, private: GitServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    certificate = make_certificate(other, "127.0.0.1")
    monkeypatch.setenv("GIT_SSL_CAINFO", str(certificate.public))
    with pytest.raises(UserError, match=r"certificate of 127\.0\.0\.1:"):
        get(url=f"{private.url}/project/.git", login=_LOGIN)
    assert private.seen == []


def test_no_process_has_a_secret_in_its_words(get: Get, private: GitServer) -> None:
    words: list[str] = []

    def look() -> None:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words.append(path.read_text(errors="replace"))
            except OSError:
                continue

    def watch(received: int) -> UserError | None:
        look()
        return UserError("Enough.") if private.credentials else None

    private.is_silent = True
    with pytest.raises(UserError, match="Enough"):
        get(url=f"{private.url}/project/.git", login=_LOGIN, watch=watch)
    assert any("git-remote-https" in line for line in words)
    assert "Basic " in private.credentials[0]
    token = private.credentials[0].removeprefix("Basic ")
    assert not [line for line in words if _LOGIN.secret in line or token in line]
