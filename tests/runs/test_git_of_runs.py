"""A run keeps what git knew of its source, and its page shows it."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from aml_portal.node import find_node
from runs.git_facts import read_facts
from runs.models import Run
from runs.snapshots import Store
from tests.runs.answers import body_of, text_of
from tests.runs.sources import write
from tests.runs.test_submit_views import signed_in, typed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_server")]

_MODULE = Path(__file__).parents[2] / "static/js/upload/git-facts.js"
_COMMIT = "0123456789" * 4


@pytest.fixture
def client() -> Client:
    return signed_in("ada")


@pytest.fixture
def project(tmp_path: Path, settings: Settings) -> Path:
    """A repository below a root that the administrator allows."""
    settings.SOURCE_ROOTS = [tmp_path]
    folder = write(tmp_path / "project", {"train.py": b"print(1)\n"})
    git(folder, "init", "-q", "-b", "main")
    url = "https://ada:hunter2@github.com/ada/digits.git"
    git(folder, "remote", "add", "origin", url)
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "The first")
    return folder


def git(folder: Path, *words: str) -> str:
    person = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    done = subprocess.run(
        ["git", *person, *words], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def submitted(client: Client, **fields: Any) -> Run:
    answer = client.post("/runs/new/", typed(**fields))
    assert answer.status_code == 302, answer.content
    return Run.objects.latest("id")


def take(client: Client, folder: Path) -> str:
    answer = client.post("/runs/snapshots/folder/", {"path": str(folder)})
    return str(answer.json()["snapshot"])


def overview(client: Client, run: Run) -> str:
    return text_of(client.get(f"/runs/{run.run_id}/?tab=overview"))


def test_a_clean_folder_is_its_commit(client: Client, project: Path) -> None:
    run = submitted(client, snapshot=take(client, project))
    commit = git(project, "rev-parse", "HEAD")
    assert run.properties["azureml.git.commit"] == commit
    assert run.properties["mlflow.source.git.branch"] == "main"
    assert run.properties["azureml.git.dirty"] == "False"
    repository = "https://github.com/ada/digits.git"
    assert run.properties["azureml.git.repository_uri"] == repository
    page = overview(client, run)
    assert f'href="https://github.com/ada/digits/commit/{commit}"' in page
    assert "hunter2" not in page
    assert client.get(f"/runs/{run.run_id}/patch/").status_code == 404


def test_what_is_not_committed_is_kept_as_a_patch(
    client: Client, project: Path, tmp_path: Path
) -> None:
    (project / "train.py").write_text("print('<b>2</b>')\n")
    (project / "new.py").write_text("print(3)\n")
    run = submitted(client, snapshot=take(client, project))
    assert run.properties["azureml.git.dirty"] == "True"
    page = client.get(f"/runs/{run.run_id}/?tab=overview").content.decode()
    assert """<span class="hl-inserted">+print('&lt;b&gt;2&lt;/b&gt;')</span>""" in page
    answer = client.get(f"/runs/{run.run_id}/patch/")
    patch = tmp_path / "patch"
    patch.write_bytes(body_of(answer))
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(project), str(clone))
    git(clone, "apply", str(patch))
    for name in ("train.py", "new.py"):
        assert (clone / name).read_bytes() == (project / name).read_bytes()


def test_a_source_that_is_taken_again_is_still_its_commit(
    client: Client, project: Path
) -> None:
    (project / "new.py").write_text("print(3)\n")
    first = submitted(client, snapshot=take(client, project))
    again = submitted(client, snapshot=first.snapshot_id)
    assert again.properties == first.properties
    assert again.git_patch == first.git_patch != ""


def test_a_copy_without_git_is_no_commit(client: Client, project: Path) -> None:
    first = submitted(client, snapshot=take(client, project))
    shutil.rmtree(project / ".git")
    copy = submitted(client, snapshot=take(client, project))
    again = submitted(client, snapshot=copy.snapshot_id)
    assert first.snapshot_id == copy.snapshot_id == again.snapshot_id
    assert [*copy.properties] == [*again.properties] == ["ContentSnapshotId"]


def test_a_change_of_one_letter_right_after_the_commit_is_seen(
    client: Client, project: Path
) -> None:
    """Neither the size nor the second in which it was written tells of it."""
    (project / "train.py").write_text("print(2)\n")
    run = submitted(client, snapshot=take(client, project))
    assert run.properties["azureml.git.dirty"] == "True"
    assert "+print(2)" in overview(client, run)


def test_variables_of_the_run_win(client: Client, project: Path) -> None:
    run = submitted(
        client,
        snapshot=take(client, project),
        **{
            "variables-name": "AZUREML_GIT_COMMIT",
            "variables-value": _COMMIT,
        },
    )
    assert run.properties["azureml.git.commit"] == _COMMIT
    assert run.properties["azureml.git.branch"] == "main"


def test_what_the_page_read_is_kept(client: Client, project: Path) -> None:
    snapshot = take(client, project)
    submitted(client, snapshot=snapshot)
    said = {"repository": "git@example.org:a/b.git", "branch": "x", "commit": _COMMIT}
    run = submitted(client, snapshot=snapshot, git=json.dumps(said))
    assert run.properties["azureml.git.commit"] == _COMMIT
    assert "azureml.git.dirty" not in run.properties
    page = overview(client, run)
    assert f'href="https://example.org/a/b/commit/{_COMMIT}"' in page
    assert "Not known: a dropped folder is not compared with its commit" in page


@pytest.mark.parametrize(
    "said",
    [
        *("", "null", "[]", "1", "{", "[" * 100_000, '{"commit": 1}'),
        '{"commit": "; rm -rf ~", "branch": "a\\nb", "repository": "javascript:x"}',
    ],
)
def test_what_no_git_would_say_is_no_fact(
    client: Client, project: Path, said: str
) -> None:
    shutil.rmtree(project / ".git")
    snapshot = take(client, project)
    submitted(client, snapshot=snapshot)
    run = submitted(client, snapshot=snapshot, git=said)
    assert "azureml.git.commit" not in run.properties
    assert "azureml.git.branch" not in run.properties
    assert 'href="javascript' not in overview(client, run)


def page_says(folder: Path) -> Any:
    """What the page's module reads, with a folder of the disk for a dropped one."""
    program = f"""
      import {{ readGitFacts }} from {json.dumps(_MODULE.as_uri())};
      import {{ readdirSync, readFileSync, statSync }} from "node:fs";
      const nodeOf = (path, name) => statSync(path).isDirectory()
        ? {{ name, list: async () =>
              readdirSync(path).map((each) => nodeOf(`${{path}}/${{each}}`, each)) }}
        : {{ name, file: async () => new Blob([readFileSync(path)]) }};
      const facts = await readGitFacts(nodeOf({json.dumps(str(folder / ".git"))}));
      process.stdout.write(JSON.stringify(facts));
    """
    answer = subprocess.run(
        [find_node().folder / "node", "--input-type=module", "-e", program],
        capture_output=True,
        check=True,
        text=True,
    )
    return json.loads(answer.stdout)


@pytest.mark.parametrize(
    "change",
    [
        [],
        ["checkout", "-qb", "feature/one"],
        ["checkout", "-q", "--detach"],
        ["pack-refs", "--all"],
        ["remote", "rename", "origin", "upstream"],
        ["remote", "add", "other", "https://example.org/other"],
        ["remote", "remove", "origin"],
    ],
)
def test_the_page_reads_what_git_says(
    project: Path, tmp_path: Path, change: list[str]
) -> None:
    if change:
        git(project, *change)
    facts = read_facts(project, {}, Store(tmp_path / "objects"))
    said = page_says(project)
    assert (said["branch"], said["commit"]) == (facts.branch, facts.commit)
    assert said["repository"].replace("ada:hunter2@", "") == facts.repository


@pytest.mark.parametrize("case", ["many references", "references kept elsewhere"])
def test_both_read_rare_repositories_alike(
    project: Path, tmp_path: Path, case: str
) -> None:
    commit = git(project, "rev-parse", "HEAD")
    if case == "many references":
        git(project, "pack-refs", "--all")
        packed = project / ".git/packed-refs"
        others = (f"{commit} refs/heads/branch-{n:06}\n" for n in range(30_000))
        packed.write_text(packed.read_text() + "".join(others))
        expected: tuple[str, str, bool | None] = ("main", commit, False)
    else:
        # As in repositories of the format "reftable".
        (project / ".git/HEAD").write_text("ref: refs/heads/.invalid\n")
        expected = ("", "", None)
    facts = read_facts(project, {}, Store(tmp_path / "objects"))
    said = page_says(project)
    assert (facts.branch, facts.commit, facts.dirty) == expected
    assert (said["branch"], said["commit"]) == expected[:2]
    assert facts.repository == "https://github.com/ada/digits.git"
