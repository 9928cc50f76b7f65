"""Secrets that people keep for their runs: kept, chosen, referred to, never shown."""

import re
from typing import Any

import pytest
from django.contrib import admin
from django.core.management import call_command
from django.test import Client

from aml_portal.errors import UserError
from runs.models import NamedSecret, Run
from runs.secrets import keep_secret, reveal_secrets
from runs.services import submit_run
from tests import factories
from tests.runs.answers import text_of
from tests.services.monitor import spec_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_server")]

VALUE = "hf_the token itself"


@pytest.fixture
def client() -> Client:
    return factories.signed_in(factories.person())


def keep(client: Client, **changes: str) -> Any:
    form = {"name": "hf-token", "value": VALUE, **changes}
    return client.post("/secrets/new/", form, follow=True)


def test_keep_look_replace_and_remove(client: Client) -> None:
    empty = text_of(client.get("/secrets/"))
    assert "No secrets are kept" in empty
    assert 'href="/secrets/new/"' in empty
    shown = text_of(keep(client))
    assert "The secret hf-token is kept." in shown
    pages = shown + text_of(client.get("/secrets/new/?name=hf-token"))
    assert "hf-token" in pages
    assert VALUE not in pages
    keep(client, value="another one")
    kept = NamedSecret.objects.get()
    assert kept.value.reveal() == "another one"
    removed = text_of(client.post(f"/secrets/{kept.pk}/remove/", follow=True))
    assert "The secret hf-token is removed." in removed
    assert not NamedSecret.objects.exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": ""}, "This field is required."),
        ({"name": "a b"}, "That is no name for a secret."),
        ({"name": "-x"}, "That is no name for a secret."),
        ({"value": "abc"}, "The value is shorter than 4 characters"),
        ({"value": "  abc\n "}, "The value is shorter than 4 characters"),
        ({"value": "x" * 32_769}, "The value is longer than 32 KiB."),
        ({"value": "half \ud800 of it"}, "half of a Unicode surrogate pair"),
    ],
)
def test_what_can_not_be_kept_is_told_without_the_value(
    client: Client, changes: dict[str, str], words: str
) -> None:
    if "\ud800" in changes.get("value", ""):
        with pytest.raises(UserError, match=words):
            keep_secret(factories.person(), name="x", value=changes["value"])
        return
    shown = text_of(keep(client, **changes))
    assert words in shown
    assert "errorlist" in shown
    assert changes.get("value", VALUE).strip() not in shown
    assert not NamedSecret.objects.exists()


def test_a_null_character_is_refused() -> None:
    with pytest.raises(UserError, match="NUL"):
        keep_secret(factories.person(), name="x", value="nul\0nul")


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (" a token\r\n", "a token"),
        ("-----BEGIN\r\nkey\r\n-----END", "-----BEGIN\nkey\n-----END\n"),
    ],
)
def test_values_are_kept_as_programs_expect_them(
    client: Client, typed: str, kept: str
) -> None:
    keep(client, value=typed)
    assert NamedSecret.objects.get().value.reveal() == kept


def test_they_are_of_one_person_alone(client: Client) -> None:
    keep(client)
    grace = factories.signed_in(factories.person("grace"))
    assert "hf-token" not in text_of(grace.get("/secrets/"))
    key = NamedSecret.objects.get().pk
    assert grace.post(f"/secrets/{key}/remove/").status_code == 404
    keep(grace, value="that of grace")
    assert NamedSecret.objects.count() == 2
    assert Client().get("/secrets/").status_code == 302
    assert NamedSecret not in admin.site._registry


def test_a_new_vault_key_is_for_them_too(client: Client) -> None:
    keep(client)
    sealed = NamedSecret.objects.get().value.sealed
    call_command("rotate_vault_keys")
    kept = NamedSecret.objects.get().value
    assert kept.sealed != sealed
    assert kept.reveal() == VALUE


# In submissions


def typed(**changes: Any) -> dict[str, Any]:
    return {
        "token": "9c8a9d0e-5f3c-4a57-9b6f-0d1a4c3b2e1f",
        "snapshot": factories.snapshot({"train.py": ""}).pk,
        "script": "train.py",
        "experiment": "tests",
        "environment": factories.this_python().pk,
        "target": factories.target().pk,
        "max_duration": "1h",
        "grace": "30s",
        "secrets-name": "HF_TOKEN",
        "secrets-value": "hf-token",
        **changes,
    }


def everything(client: Client, run: Run) -> str:
    """What the pages of a run show of it."""
    address = run.get_absolute_url()
    panels = [f"{address}panels/{name}/" for name in ("overview", "configuration")]
    pages = [address, *panels, f"/runs/new/?from={run.run_id}"]
    return "".join(text_of(client.get(page)) for page in pages)


def test_a_run_keeps_the_reference_and_never_the_value(client: Client) -> None:
    keep(client)
    assert ">hf-token</option>" in text_of(client.get("/runs/new/"))
    answer = client.post("/runs/new/", typed())
    assert answer.status_code == 302
    run = Run.objects.get()
    assert run.script_run_configuration["secrets"] == {"HF_TOKEN": "hf-token"}
    assert reveal_secrets(run) == {"HF_TOKEN": VALUE}
    shown = everything(client, run)
    assert VALUE not in shown
    assert re.search(r'<option value="hf-token"\s+selected>', shown)
    assert "keyvault.get_secret('hf-token')" in shown
    # What it is by now, not what it was.
    keep(client, value="a newer one")
    assert reveal_secrets(run) == {"HF_TOKEN": "a newer one"}
    # A variable is not lost with its secret, which is to be chosen anew.
    NamedSecret.objects.all().delete()
    again = text_of(client.get(f"/runs/new/?from={run.run_id}"))
    assert 'value="HF_TOKEN"' in again
    assert "keep a secret</a>" in again


def errors(client: Client, **changes: Any) -> list[str]:
    answer = client.post("/runs/new/", typed(**changes), headers={"hx-request": "true"})
    assert answer.status_code == 422
    return re.findall(r"<li data-field=[^>]*>(.*?)</li>", answer.content.decode())


def test_what_is_wrong_with_the_secrets_of_a_submission_is_told(
    client: Client,
) -> None:
    (said,) = errors(client)
    assert said == (
        "You keep no secret “hf-token”. Keep one of this name under Secrets, in the"
        " menu of your account, or choose another."
    )
    keep(client)
    twice = {"variables-name": "HF_TOKEN", "variables-value": "1"}
    assert errors(client, **twice) == [
        "The variable HF_TOKEN has a value and a secret. Remove one of them."
    ]
    (said,) = errors(client, **{"secrets-value": ""})
    assert said == "The variable HF_TOKEN has no secret. Choose one, or remove the row."
    (said,) = errors(client, **{"secrets-name": "1X"})
    assert said.startswith("“1X” is not a name for an environment variable.")
    assert not Run.objects.exists()


@pytest.mark.parametrize("is_staff", [False, True])
def test_whoever_resubmits_a_run_of_another_needs_secrets_of_their_own(
    client: Client, is_staff: bool
) -> None:
    keep(client)
    client.post("/runs/new/", typed())
    run = Run.objects.get()
    grace = factories.person("grace")
    grace.is_staff = is_staff
    grace.save()
    hers = factories.signed_in(grace)
    keep(hers, name="own-token")
    page = text_of(hers.get(f"/runs/new/?from={run.run_id}"))
    assert "has HF_TOKEN from secrets of ada, which nobody else can use" in page
    assert 'value="HF_TOKEN"' in page
    assert "hf-token</option>" not in page
    submission = factories.submission(secrets={"HF_TOKEN": "hf-token"})
    with pytest.raises(UserError, match="You keep no secret “hf-token”"):
        submit_run(owner=grace, submission=submission)


def test_job_json_has_the_names_of_variables_alone(client: Client) -> None:
    keep(client)
    run = factories.submit(secrets={"HF_TOKEN": "hf-token"})
    spec = spec_of(run)
    assert spec["secrets"] == ["HF_TOKEN"]
    assert "HF_TOKEN" not in spec["env"]
    assert VALUE not in str(spec) + repr(NamedSecret.objects.get().__dict__)
