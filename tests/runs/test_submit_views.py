"""The submit page over HTTP: what is taken, what is refused, and what is kept."""

import io
import json
import tarfile
import uuid
from html import unescape
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from runs.models import Run, Snapshot
from tests import factories
from tests.services.runs import zipped

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_server")]

_HTMX = {"HX-Request": "true"}
_HOSTILE = (
    "",
    "two words",
    "it's",
    '"quoted"',
    "line one\nline two\r\nline three",
    "; rm -rf ~",
    "$(id) `id` ${HOME} $HOME",
    "\\",
    "--flag=<script>alert(1)</script>",
    "日本 🦊",
    "*",
)


@pytest.fixture
def client() -> Client:
    return signed_in("ada")


def signed_in(name: str) -> Client:
    client = Client()
    client.force_login(factories.person(name))
    return client


def typed(**changes: Any) -> dict[str, Any]:
    """What the form sends for a small script, with `changes`."""
    given = {
        "token": str(uuid.uuid4()),
        "script": "train.py",
        "experiment": "digits",
        "arguments": "[]",
        "environment": factories.this_python().pk,
        "target": factories.target().pk,
        "max_duration": "2h 30m",
        "grace": "30s",
    }
    if "archive" not in changes:
        given["snapshot"] = factories.snapshot({"train.py": "", "data/a.csv": "1"}).pk
    return given | changes


def tarred(files: dict[str, str]) -> bytes:
    """As the page packs a dropped folder."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content.encode()))
    return packed.getvalue()


def send(client: Client, body: bytes, name: str = "source") -> Any:
    return client.post(
        f"/runs/snapshots/?name={name}", body, content_type="application/octet-stream"
    )


def text_of(response: Any) -> str:
    return unescape(response.content.decode())


def test_a_folder_and_an_archive_of_it_are_one_snapshot(client: Client) -> None:
    files = {"train.py": "print(1)", "pkg/util.py": "x = 1"}
    folder = send(client, tarred(files), "mine").json()
    archive = send(client, zipped(files), "mine.zip").json()
    assert folder["snapshot"] == archive["snapshot"]
    assert folder["files"] == ["pkg/util.py", "train.py"]
    assert folder["scripts"] == ["train.py", "pkg/util.py"]
    assert (folder["name"], archive["name"]) == ("mine", "mine.zip")
    assert folder["bytes"] == 13


def test_a_single_script_is_a_source(client: Client) -> None:
    kept = send(client, b"print(1)", "slow.py").json()
    assert kept["files"] == kept["scripts"] == ["slow.py"]


@pytest.mark.parametrize(
    ("body", "name", "sentence"),
    [
        (zipped({"a.py": "x" * 5000})[:-60], "cut.zip", ""),
        (tarred({"a.py": "x" * 5000})[:2000], "cut.tar", ""),
        (zipped({"../a.py": ""}), "up.zip", "leads out of the folder"),
        (tarred({"/etc/a.py": ""}), "root.tar", "is a path from the root"),
        (zipped({}), "empty.zip", ""),
    ],
)
def test_a_bad_archive_is_refused_with_a_sentence(
    client: Client, body: bytes, name: str, sentence: str
) -> None:
    answer = send(client, body, name)
    assert answer.status_code == 422, answer.content
    assert answer.json()["error"].endswith(".")
    assert answer.json()["advice"].endswith(".")
    assert sentence in answer.json()["error"]
    assert not Snapshot.objects.exists()


def test_more_than_a_snapshot_may_hold_is_refused(
    client: Client, settings: Settings
) -> None:
    settings.SNAPSHOT_MAX_BYTES, settings.SNAPSHOT_MAX_FILES = 2048, 2
    bomb = io.BytesIO()
    with tarfile.open(fileobj=bomb, mode="w:gz") as archive:
        entry = tarfile.TarInfo("zeros")
        entry.size = 1_000_000
        archive.addfile(entry, io.BytesIO(bytes(1_000_000)))
    assert send(client, bomb.getvalue()).status_code == 422


def test_a_submission_is_kept_as_it_was_typed(client: Client) -> None:
    form = typed(
        display_name="first",
        arguments=json.dumps(_HOSTILE),
        max_duration="none",
        grace="5",
        **{
            "variables-name": ["LR", " SPACED ", ""],
            "variables-value": ["0.1\r\n", "x = 'y'", ""],
            "tags-name": ["team"],
            "tags-value": ["blue"],
        },
    )
    answer = client.post("/runs/new/", form)
    run = Run.objects.get()
    assert answer.status_code == 302
    assert answer.headers["Location"] == run.get_absolute_url()
    assert run.owner.username == "ada"
    assert (run.experiment.name, run.display_name) == ("digits", "first")
    configuration = run.configuration
    assert configuration.arguments == _HOSTILE
    assert configuration.environment_variables == {"LR": "0.1\n", "SPACED": "x = 'y'"}
    assert configuration.max_run_duration_seconds is None
    assert configuration.grace_seconds == 5
    assert [str(tag) for tag in run.tags.all()] == ["team=blue"]
    page = text_of(client.get(f"{run.get_absolute_url()}?tab=overview"))
    assert "<script>alert(1)</script>" in page
    raw = client.get(f"{run.get_absolute_url()}?tab=overview").content
    assert b"<script>alert(1)" not in raw


def test_without_scripts_of_the_page_the_command_line_counts(client: Client) -> None:
    line = "--lr 0.1 'two words' \"$HOME\" a\\ b"
    client.post("/runs/new/", typed(arguments="", command_line=line))
    arguments = Run.objects.get().configuration.arguments
    assert arguments == ("--lr", "0.1", "two words", "$HOME", "a b")


def test_without_scripts_of_the_page_the_archive_comes_with_the_form(
    client: Client,
) -> None:
    archive = SimpleUploadedFile("mine.zip", zipped({"train.py": "print(1)"}))
    refused = client.post("/runs/new/", typed(archive=archive, script="other.py"))
    assert refused.status_code == 422
    kept = Snapshot.objects.get()
    assert f'name="snapshot" value="{kept.pk}"' in text_of(refused)
    answer = client.post("/runs/new/", typed(snapshot=kept.pk))
    assert answer.status_code == 302
    assert Run.objects.get().snapshot == kept


def test_a_second_click_makes_no_second_run(client: Client) -> None:
    form = typed()
    first, second = (client.post("/runs/new/", form) for _ in range(2))
    assert first.headers["Location"] == second.headers["Location"]
    assert Run.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"script": "absent.py"}, "“absent.py” is not among the files"),
        ({"script": "data"}, "“data” is not among the files"),
        ({"script": "../train.py"}, "“../train.py” is not among the files"),
        ({"script": ""}, "No script was chosen."),
        ({"experiment": ""}, "needs an experiment"),
        ({"experiment": "a/b"}, "letters, digits, dashes and underscores"),
        ({"snapshot": ""}, "No source was chosen."),
        ({"snapshot": "f" * 64}, "The snapshot is gone."),
        ({"max_duration": "soon"}, "“soon” is not a duration."),
        ({"max_duration": "0"}, "less than a second"),
        ({"grace": "2d"}, "not between 0 seconds and one day"),
        ({"environment": "9999"}, "environment"),
        ({"target": ""}, "needs a compute target"),
        ({"arguments": '["a\\u0000b"]'}, "NUL character"),
        ({"arguments": '["\\ud800"]'}, "surrogate"),
        ({"arguments": '{"a": 1}'}, "not a list of strings"),
        ({"arguments": "[" * 100_000}, "could not be read"),
        ({"arguments": json.dumps(["x" * 200_000])}, "longer than 128 KiB"),
        ({"arguments": "", "command_line": "'open"}, "without its other half"),
        ({"tags-name": "", "tags-value": "lonely"}, "has a value and no name"),
        ({"tags-name": ["a", "a"], "tags-value": ["1", "2"]}, "a is given twice"),
        ({"tags-name": "n" * 256, "tags-value": ""}, "at most 255 characters"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(
    client: Client, changes: dict[str, Any], sentence: str
) -> None:
    answer = client.post("/runs/new/", typed(**changes), headers=_HTMX)
    assert answer.status_code == 422
    assert sentence in text_of(answer)
    assert "<html" not in text_of(answer)
    assert not Run.objects.exists()


@pytest.mark.parametrize("name", ["1ST", "A-B", "A B", "A=B", "Ä", "A\0B", "$(id)"])
def test_a_bad_name_of_a_variable_is_refused(client: Client, name: str) -> None:
    form = typed(**{"variables-name": [name], "variables-value": ["x"]})
    answer = client.post("/runs/new/", form)
    assert answer.status_code == 422
    assert "is not a name for an environment variable" in text_of(answer)
    assert not Run.objects.exists()


def test_an_error_keeps_all_that_was_typed(client: Client) -> None:
    form = typed(
        script="wrong.py",
        display_name="my <name>",
        arguments=json.dumps(["--a", "b c"]),
        max_duration="3h",
        grace="7s",
        **{
            "variables-name": ["LR"],
            "variables-value": ["0.25"],
            "tags-name": ["team"],
            "tags-value": ["blue"],
        },
    )
    page = text_of(client.post("/runs/new/", form))
    for kept in (
        f'value="{form["token"]}"',
        f'value="{form["snapshot"]}"',
        'value="wrong.py"',
        'value="my <name>"',
        'value="digits"',
        'data-initial="["--a", "b c"]"',
        "--a 'b c'</textarea>",
        'value="3h"',
        'value="7s"',
        'value="LR"',
        "0.25</textarea>",
        'value="team"',
        "blue</textarea>",
    ):
        assert kept in page, kept


def test_what_is_gone_by_now_is_told(client: Client) -> None:
    form = typed()
    target = factories.target()
    target.detached_at = timezone.now()
    target.save()
    assert client.post("/runs/new/", form).status_code == 422
    assert not Run.objects.exists()


def test_htmx_is_led_to_the_new_run(client: Client) -> None:
    answer = client.post("/runs/new/", typed(), headers=_HTMX)
    assert answer.headers["HX-Redirect"] == Run.objects.get().get_absolute_url()


def test_a_run_is_submitted_again_with_its_settings(client: Client) -> None:
    run = factories.submit(
        experiment="digits",
        display_name="first",
        arguments=("--name", "two words"),
        environment_variables={"API_TOKEN": "hidden!", "LR": "0.5"},
        max_run_duration_seconds=5400,
        tags={"team": "blue"},
    )
    page = text_of(client.get(f"/runs/new/?from={run.run_id}"))
    for filled in (
        f'name="snapshot" value="{run.snapshot_id}"',
        'value="train.py"',
        'value="digits"',
        'value="first"',
        "--name 'two words'</textarea>",
        'value="1h 30m"',
        "That is 1 hour 30 minutes.",
        "hidden!</textarea>",
        "0.5</textarea>",
        "blue</textarea>",
    ):
        assert filled in page, filled
    other = text_of(signed_in("bob").get(f"/runs/new/?from={run.run_id}"))
    assert "hidden!" not in other
    assert "API_TOKEN look secret and belong to ada" in other
    assert "0.5</textarea>" in other


def test_a_run_that_is_not_there_can_not_be_submitted_again(client: Client) -> None:
    assert client.get("/runs/new/?from=none_1_2").status_code == 404


def test_the_form_begins_with_the_last_choices_and_the_named_experiment(
    client: Client,
) -> None:
    factories.submit(target=factories.target(name="second"))
    page = text_of(client.get("/runs/new/?experiment=mine"))
    assert 'value="mine"' in page
    chosen = page.partition("checked")[0].rpartition("<input")[2]
    assert f'value="{factories.target(name="second").pk}"' in chosen


def test_the_preview_follows_what_is_typed(client: Client) -> None:
    form = typed(
        arguments='["</code><script>", "--b"]',
        max_duration="90m",
        **{
            "variables-name": ["API_TOKEN", "LR"],
            "variables-value": ["hidden!", "0.5"],
        },
    )
    page = text_of(client.post("/runs/new/preview/", form))
    assert "arguments=['</code><script>', '--b']" in page
    assert "maxRunDurationSeconds: 5400" in page
    assert "That is 1 hour 30 minutes." in page
    assert "LR: '0.5'" in page
    assert "hidden!" not in page
    assert b"<script>" not in client.post("/runs/new/preview/", form).content


def test_the_preview_shows_what_is_valid_so_far(client: Client) -> None:
    factories.target(max_runs=3)
    page = text_of(client.post("/runs/new/preview/", {"max_duration": "soon"}))
    assert "script='train.py'" in page
    assert "“soon” is not a duration." in page
    assert "3 of 3 places free" in page


def test_the_example_is_submitted_by_one_click(client: Client) -> None:
    factories.target()
    factories.this_python()
    answer = client.post("/runs/new/example/")
    run = Run.objects.get()
    assert answer.headers["Location"] == run.get_absolute_url()
    assert (run.experiment.name, run.script) == ("digits", "train.py")
    page = text_of(client.get("/runs/new/?example=digits"))
    assert f'name="snapshot" value="{run.snapshot_id}"' in page


def test_an_example_without_a_target_says_what_to_do(client: Client) -> None:
    target = factories.target()
    target.detached_at = timezone.now()
    target.save()
    for headers, kind in (({}, "html"), ({"HX-Request": "true"}, "plain")):
        answer = client.post("/runs/new/example/", headers=headers)
        assert answer.status_code == 400
        assert answer.headers["Content-Type"] == f"text/{kind}; charset=utf-8"
        page = answer.content.decode()
        assert "The example needs a compute target and an environment." in page
        assert "Attach the one and add the other first." in page
        assert ("<html" in page) == (kind == "html")
