"""What git knows of a folder, and that no folder can do harm by it."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from runs import git_folder
from runs.git_facts import GitFacts, read_facts
from runs.snapshots import Limits, Store, read_folder
from tests.services.git import commit, git, repository, write

LIMITS = Limits(max_bytes=10**9, max_files=10_000)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "objects")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = repository(
        tmp_path / "work",
        {"train.py": "print(1)\n", "data.bin": bytes(range(256)), "gone.txt": "x\n"},
    )
    git(
        folder, "remote", "add", "origin", "https://ada:secret@example.org/ada/work.git"
    )
    return folder


def facts(folder: Path, store: Store, **variables: str) -> GitFacts:
    return read_facts(folder, variables, store)


def patch_of(found: GitFacts, store: Store) -> bytes:
    with store.open_whole(found.patch) as file:
        return file.read()


def tree_of(folder: Path, store: Store) -> str:
    return read_folder(folder, store, LIMITS).manifest.identity


def test_a_clean_folder_has_its_commit_and_no_patch(work: Path, store: Store) -> None:
    found = facts(work, store)
    assert found == GitFacts(
        repository="https://example.org/ada/work.git",
        branch="main",
        commit=git(work, "rev-parse", "HEAD"),
        dirty=False,
    )


def test_the_properties_have_the_names_of_azure_ml() -> None:
    found = GitFacts(
        repository="https://a/b", branch="main", commit="c" * 40, dirty=True
    )
    assert found.properties() == {
        "azureml.git.repository_uri": "https://a/b",
        "mlflow.source.git.repoURL": "https://a/b",
        "azureml.git.branch": "main",
        "mlflow.source.git.branch": "main",
        "azureml.git.commit": "c" * 40,
        "mlflow.source.git.commit": "c" * 40,
        "azureml.git.dirty": "True",
    }
    assert GitFacts().properties() == {}


def test_variables_win_over_git(work: Path, store: Store) -> None:
    found = facts(
        work,
        store,
        AZUREML_GIT_REPOSITORY_URI="https://u:p@ci.example/x.git",
        AZUREML_GIT_BRANCH="release",
        AZUREML_GIT_COMMIT="abc",
        AZUREML_GIT_DIRTY="TRUE",
        AZUREML_GIT_BUILD_ID="7",
        AZUREML_GIT_BUILD_URI="https://ci.example/7",
    )
    assert found.properties() == {
        "azureml.git.repository_uri": "https://ci.example/x.git",
        "mlflow.source.git.repoURL": "https://ci.example/x.git",
        "azureml.git.branch": "release",
        "mlflow.source.git.branch": "release",
        "azureml.git.commit": "abc",
        "mlflow.source.git.commit": "abc",
        "azureml.git.dirty": "True",
        "azureml.git.build_id": "7",
        "azureml.git.build_uri": "https://ci.example/7",
    }
    assert facts(work, store, AZUREML_GIT_DIRTY="0").dirty is False
    assert facts(work, store, AZUREML_GIT_DIRTY="").dirty is False


def test_the_folder_counts_and_not_the_current_one(
    tmp_path: Path, work: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = repository(tmp_path / "other", {"a.py": "1"})
    monkeypatch.chdir(other)
    assert facts(work, store).commit == git(work, "rev-parse", "HEAD")
    (tmp_path / "plain").mkdir()
    assert facts(tmp_path / "plain", store) == GitFacts()


def test_the_patch_makes_the_folder_of_the_commit(
    tmp_path: Path, work: Path, store: Store
) -> None:
    write(work, {".gitignore": "*.log\n", "b.sh": "#!/bin/sh\n"})
    (work / "b.sh").chmod(0o755)
    git(work, "add", "b.sh", ".gitignore")
    write(
        work,
        {
            "train.py": "print(2)\n",
            "b.sh": "#!/bin/sh\nstaged, then changed\n",
            "data.bin": bytes(range(255, -1, -1)),
            "new/ünd spaces\nand lines.bin": os.urandom(5000),
            "new/no newline": "text",
            "empty": "",
            "noise.log": "not kept",
        },
    )
    (work / "gone.txt").unlink()
    (work / "link").symlink_to("train.py")
    found = facts(work, store)
    assert found.dirty is True
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(work), str(clone))
    git(clone, "checkout", "--quiet", found.commit)
    git(clone, "apply", "-", given=patch_of(found, store))
    assert tree_of(clone, store) == tree_of(work, store)
    assert b"noise" not in patch_of(found, store)


def test_a_folder_within_knows_only_of_its_own_changes(
    tmp_path: Path, work: Path, store: Store
) -> None:
    write(work, {"sub/a.py": "1\n", "train.py": "changed\n"})
    commit(work)
    write(work, {"train.py": "changed again\n"})
    assert facts(work / "sub", store).dirty is False
    write(work, {"sub/a.py": "2\n"})
    found = facts(work / "sub", store)
    assert found.dirty is True
    assert b"a/sub/a.py" in patch_of(found, store)
    assert b"train.py" not in patch_of(found, store)
    assert read_facts(work / "sub", {}, store, within=work / "sub") == GitFacts()


def test_a_detached_head_has_no_branch(work: Path, store: Store) -> None:
    git(work, "checkout", "--quiet", "--detach")
    assert facts(work, store).branch == ""
    assert facts(work, store).commit == git(work, "rev-parse", "HEAD")


def test_packed_references_and_odd_remotes_are_read(work: Path, store: Store) -> None:
    git(work, "checkout", "--quiet", "-b", "feature/x")
    git(work, "pack-refs", "--all")
    git(work, "remote", "add", "up", "short:team/work.git")
    git(work, "config", "branch.feature/x.remote", "up")
    git(work, "config", "url.ssh://git@example.org/.insteadOf", "short:")
    found = facts(work, store)
    assert (found.branch, found.commit) == ("feature/x", git(work, "rev-parse", "HEAD"))
    assert found.repository == git(work, "ls-remote", "--get-url")
    assert found.repository == "ssh://git@example.org/team/work.git"


def test_a_linked_work_tree_and_a_submodule_are_read(
    tmp_path: Path, work: Path, store: Store
) -> None:
    linked = tmp_path / "linked"
    git(work, "worktree", "add", "--quiet", "-b", "other", str(linked))
    assert facts(linked, store).branch == "other"
    inner = repository(tmp_path / "inner", {"lib.py": "1\n"})
    git(work, "submodule", "--quiet", "add", str(inner), "lib")
    assert facts(work / "lib", store).commit == git(inner, "rev-parse", "HEAD")
    write(work / "lib", {"lib.py": "2\n"})
    assert b"-1\n+2\n" in patch_of(facts(work / "lib", store), store)


def test_a_repository_without_commits_has_a_branch(
    tmp_path: Path, store: Store
) -> None:
    git(tmp_path, "init", "--quiet", "--initial-branch=main", "empty")
    write(tmp_path / "empty", {"a.py": "1"})
    assert facts(tmp_path / "empty", store) == GitFacts(branch="main", dirty=True)


def test_a_repository_of_sha256_is_read(tmp_path: Path, store: Store) -> None:
    git(tmp_path, "init", "--quiet", "--object-format=sha256", "long")
    write(tmp_path / "long", {"a.py": "1\n"})
    commit(tmp_path / "long")
    write(tmp_path / "long", {"a.py": "2\n"})
    found = facts(tmp_path / "long", store)
    assert len(found.commit) == 64
    assert b"-1\n+2\n" in patch_of(found, store)


def test_too_large_a_patch_is_a_remark(
    work: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(work, {"large.bin": os.urandom(git_folder.LARGEST_PATCH)})
    remark = patch_of(facts(work, store), store)
    assert remark.startswith(b"# The uncommitted changes are larger than 10 MB")
    (work / "large.bin").unlink()
    with (work / "sparse.bin").open("wb") as file:
        file.truncate(50 * git_folder.LARGEST_PATCH)
    assert patch_of(facts(work, store), store) == remark


@pytest.fixture
def hostile(work: Path, tmp_path: Path) -> Iterator[Path]:
    """A repository whose every setting starts a program that leaves a trace."""
    trace = tmp_path / "trace"
    script = tmp_path / "evil.sh"
    script.write_text(f'#!/bin/sh\necho "$0 $*" >> {trace}\ncat\n')
    script.chmod(0o755)
    write(work, {".gitattributes": "* filter=evil diff=evil merge=evil\n"})
    commit(work)
    include = tmp_path / "include"
    include.write_text(f"[core]\nfsmonitor = {script}\n")
    for name in (
        *(
            "core.fsmonitor",
            "core.pager",
            "core.editor",
            "core.askPass",
            "core.sshCommand",
        ),
        *("filter.evil.clean", "filter.evil.smudge", "filter.evil.process"),
        *("diff.external", "diff.evil.command", "diff.evil.textconv"),
        *("credential.helper", "alias.status", "alias.diff", "core.gitProxy"),
        *("gpg.program", "interactive.diffFilter", "uploadpack.packObjectsHook"),
    ):
        git(work, "config", name, str(script))
    git(work, "config", "filter.evil.required", "true")
    git(work, "config", "include.path", str(include))
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for hook in (
        "post-index-change",
        "pre-commit",
        "post-checkout",
        "fsmonitor-watchman",
    ):
        for folder in (hooks, work / ".git" / "hooks"):
            folder.mkdir(exist_ok=True)
            (folder / hook).write_bytes(script.read_bytes())
            (folder / hook).chmod(0o755)
    git(work, "config", "core.hooksPath", str(hooks))
    trace.unlink(missing_ok=True)
    yield work
    assert not trace.exists(), trace.read_text()


def test_nothing_that_a_folder_names_is_started(hostile: Path, store: Store) -> None:
    write(hostile, {"train.py": "print(3)\n", "new.py": "1\n"})
    # git looks into files only if they are not as the index says.
    os.utime(hostile / "data.bin", (1, 1))
    before = _all_in(hostile)
    found = facts(hostile, store)
    assert found.dirty is True
    assert b"+print(3)" in patch_of(found, store)
    assert _all_in(hostile) == before


def test_a_work_tree_elsewhere_is_not_told_about(
    tmp_path: Path, work: Path, store: Store
) -> None:
    private = repository(tmp_path / "private", {"key": "the key\n"})
    write(private, {"key": "another key\n"})
    git(work, "config", "core.worktree", str(private))
    assert facts(work, store).dirty is False
    for name in ("file", "link"):
        thief = tmp_path / name
        thief.mkdir()
        if name == "file":
            write(thief, {".git": f"gitdir: {private / '.git'}\n"})
        else:
            (thief / ".git").symlink_to(private / ".git")
        assert facts(thief, store) == GitFacts()


@pytest.mark.parametrize(
    "head", [b"", b"\xff\xfe", b"ref: ../../etc/passwd", b"x" * 99]
)
def test_a_broken_repository_gives_no_facts(
    work: Path, store: Store, head: bytes
) -> None:
    (work / ".git" / "HEAD").write_bytes(head)
    found = facts(work, store)
    assert (found.branch, found.commit, found.patch) == ("", "", "")


def test_a_pipe_in_a_repository_is_not_waited_for(work: Path, store: Store) -> None:
    for name in ("HEAD", "config", "index"):
        (work / ".git" / name).unlink()
        os.mkfifo(work / ".git" / name)
    assert facts(work, store).commit == ""


def test_what_a_client_says_is_taken_as_far_as_git_could_say_it() -> None:
    found = GitFacts.offered(
        {
            "repository": "https://ada:token@example.org/x.git?token=1",
            "branch": "main",
            "commit": "a" * 40,
            "dirty": True,
            "patch": "b" * 64,
        }
    )
    assert found == GitFacts(
        repository="https://example.org/x.git",
        branch="main",
        commit="a" * 40,
        dirty=True,
    )
    odd = {
        "repository": "x\0y",
        "branch": "y" * 3000,
        "commit": "<script>",
        "dirty": "yes",
    }
    assert GitFacts.offered(odd) == GitFacts()
    assert GitFacts.offered({"repository": 1, "branch": [], "commit": {}}) == GitFacts()


def _all_in(folder: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
