"""Secrets are in the clear nowhere but in memory, and outlast the change of keys."""

import io
import json
import multiprocessing
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.core import serializers
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django.fixtures import Settings

from aml_portal import vault, vault_keys
from aml_portal.errors import PortalError
from aml_portal.vault import Secret, rotate_keys
from aml_portal.vault_keys import read_keys
from runs.models import GitCredential
from tests import factories

_CLEAR = "s3cret of Adä"


@pytest.fixture(autouse=True)
def data(tmp_path: Path, settings: Settings) -> Path:
    settings.DATA = tmp_path
    settings.VAULT_KEYS = []
    return tmp_path


def kept(host: str = "git.example.org", text: str = _CLEAR) -> GitCredential:
    return GitCredential.objects.create(
        owner=factories.person(), host=host, user_name="ada", secret=Secret.of(text)
    )


def revealed(credential: GitCredential) -> str:
    return GitCredential.objects.get(pk=credential.pk).secret.reveal()


def test_a_secret_shows_itself_to_nobody() -> None:
    secret = Secret.of(_CLEAR)
    assert secret.reveal() == _CLEAR
    for shown in (str(secret), repr(secret), f"{secret}", f"{[secret]}"):
        assert _CLEAR not in shown
        assert secret.sealed not in shown
    assert Secret.of(_CLEAR).sealed != secret.sealed


@pytest.mark.django_db
def test_the_database_has_it_encrypted() -> None:
    credential = kept()
    assert revealed(credential) == _CLEAR
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM runs_gitcredential")
        (sealed,) = cursor.fetchone()
    assert sealed == credential.secret.sealed
    assert "s3cret" not in sealed
    dump = serializers.serialize("json", GitCredential.objects.all())
    assert json.loads(dump)[0]["fields"]["secret"] == sealed
    GitCredential.objects.all().delete()
    for again in serializers.deserialize("json", dump):
        again.save()
    assert revealed(credential) == _CLEAR


@pytest.mark.django_db
def test_nothing_in_the_clear_is_stored_by_mistake() -> None:
    credential = kept()
    credential.secret = "in the clear"  # type: ignore[assignment]
    with pytest.raises(TypeError, match="takes a Secret"):
        credential.save()
    with pytest.raises(ValidationError):
        credential._meta.get_field("secret").to_python("in the clear")


def test_the_file_of_the_keys_is_made_at_the_first_need(data: Path) -> None:
    file = data / "vault_keys"
    assert not file.exists()
    secret = Secret.of(_CLEAR)
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(data.iterdir()) == [file]
    assert secret.reveal() == _CLEAR


def _first_secret(data: str) -> str:
    from django.conf import settings

    settings.DATA = Path(data)
    return Secret.of(_CLEAR).sealed


def test_many_at_once_make_one_file(data: Path) -> None:
    with multiprocessing.get_context("fork").Pool(8) as pool:
        sealed = pool.map(_first_secret, [str(data)] * 40)
    assert {Secret(each).reveal() for each in sealed} == {_CLEAR}


def test_a_file_that_others_can_read_is_not_used(data: Path) -> None:
    Secret.of(_CLEAR)
    (data / "vault_keys").chmod(0o644)
    with pytest.raises(PortalError, match="can be read by others"):
        Secret.of(_CLEAR)


def test_a_spoilt_file_is_told(data: Path) -> None:
    secret = Secret.of(_CLEAR)
    (data / "vault_keys").write_text("nonsense\n")
    with pytest.raises(PortalError, match="something else than vault keys"):
        secret.reveal()


def test_a_lost_key_is_told(data: Path) -> None:
    secret = Secret.of(_CLEAR)
    (data / "vault_keys").unlink()
    with pytest.raises(PortalError, match="the vault key that it was kept with is go"):
        secret.reveal()


def test_keys_of_the_settings(data: Path, settings: Settings) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    settings.VAULT_KEYS = [old]
    secret = Secret.of(_CLEAR)
    settings.VAULT_KEYS = [new, old]
    assert secret.reveal() == _CLEAR
    assert list(data.iterdir()) == []


# Rotation.


@pytest.mark.django_db
def test_all_secrets_get_the_new_key() -> None:
    credentials = [kept(f"{n}.example.org", str(n)) for n in range(3)]
    (first,) = read_keys()
    out = io.StringIO()
    call_command("rotate_vault_keys", stdout=out)
    assert out.getvalue() == "3 secrets are encrypted with a new key.\n"
    second, *others = read_keys()
    assert others == [first]
    for n, credential in enumerate(credentials):
        assert revealed(credential) == str(n)
        sealed = GitCredential.objects.get(pk=credential.pk).secret.sealed
        assert Fernet(second).decrypt(sealed) == str(n).encode()


@pytest.mark.django_db
def test_what_was_encrypted_while_the_keys_changed_is_read() -> None:
    """By a process that had read the old key, and wrote when all was done."""
    late = Secret.of("late")
    rotate_keys()
    credential = kept()
    GitCredential.objects.filter(pk=credential.pk).update(secret=late)
    assert revealed(credential) == "late"
    rotate_keys()
    rotate_keys()
    assert revealed(credential) == "late"


@pytest.mark.django_db
def test_an_interrupted_rotation_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = [kept(f"{n}.example.org", str(n)) for n in range(3)]
    resealed = Secret.resealed
    for stop_after in (0, 1, 2):
        left = [stop_after]

        def reseal(secret: Secret, left: list[int] = left) -> Secret:
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            return resealed(secret)

        monkeypatch.setattr(vault.Secret, "resealed", reseal)
        with pytest.raises(KeyboardInterrupt):
            rotate_keys()
        assert [revealed(each) for each in credentials] == ["0", "1", "2"]
    monkeypatch.undo()


@pytest.mark.django_db
def test_a_rotation_after_interrupted_ones_cleans_up(data: Path) -> None:
    credential = kept()
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt), vault_keys.new_key():
            raise KeyboardInterrupt
    assert len(read_keys()) == 4
    rotate_keys()
    assert len(read_keys()) == 2
    assert revealed(credential) == _CLEAR
    left = {path.name for path in data.iterdir()}
    assert left == {"vault_keys", "vault_keys.lock"}


@pytest.mark.django_db
def test_a_secret_that_no_key_opens_is_left_and_told() -> None:
    good, lost = kept("a.example.org"), kept("b.example.org")
    strange = Secret(Fernet(Fernet.generate_key()).encrypt(b"x").decode())
    GitCredential.objects.filter(pk=lost.pk).update(secret=strange)
    with pytest.raises(CommandError, match="1 can't be read with any key"):
        call_command("rotate_vault_keys", stdout=io.StringIO())
    assert revealed(good) == _CLEAR
    assert GitCredential.objects.get(pk=lost.pk).secret == strange


@pytest.mark.django_db
def test_keys_of_the_settings_are_not_replaced(data: Path, settings: Settings) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    settings.VAULT_KEYS = [old]
    credential = kept()
    settings.VAULT_KEYS = [new, old]
    out = io.StringIO()
    call_command("rotate_vault_keys", stdout=out)
    assert "1 secret is encrypted with the first key of AML_" in out.getvalue()
    settings.VAULT_KEYS = [new]
    assert revealed(credential) == _CLEAR
    assert list(data.iterdir()) == []
