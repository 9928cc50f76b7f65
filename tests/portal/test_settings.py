"""The settings, their documentation, and the checks of what can't work together."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.contrib.staticfiles.finders import get_finder
from django.core.checks import CheckMessage
from pytest_django.fixtures import Settings

from aml_portal import checks

_VARIABLE = re.compile(r"\b(AML_PORTAL_[A-Z_]+|REDIS_URL)\b")


def _lines_of(*names: str) -> str:
    return "\n".join((settings.BASE_DIR / name).read_text() for name in names)


def test_every_variable_is_documented_and_every_documented_one_exists() -> None:
    used = set(
        _VARIABLE.findall(_lines_of("aml_portal/settings.py", "aml_portal/broker.py"))
    )
    table = _lines_of("docs/settings.md")
    documented = set(re.findall(r"^\| `([A-Z_]+)`", table, re.MULTILINE))
    assert used == documented


def _value_of(expression: str, data: Path, **environment: str) -> str:
    code = f"from aml_portal import settings as s; print({expression})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=settings.BASE_DIR,
        env={"AML_PORTAL_DATA": str(data), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_the_data_folder_and_the_key_are_private(tmp_path: Path) -> None:
    data = tmp_path / "new"
    key = _value_of("s.SECRET_KEY", data)
    assert data.stat().st_mode & 0o777 == 0o700
    assert (data / "secret_key").stat().st_mode & 0o777 == 0o600
    assert len(key) >= 50
    assert _value_of("s.SECRET_KEY", data) == key


def test_two_portals_of_a_host_have_different_cookies(tmp_path: Path) -> None:
    name = "s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME"
    assert _value_of(name, tmp_path / "a") != _value_of(name, tmp_path / "b")


def test_the_public_address_settles_what_follows_from_it(tmp_path: Path) -> None:
    expression = "s.HTTPS, s.ALLOWED_HOSTS[-1], s.CSRF_TRUSTED_ORIGINS"
    found = _value_of(expression, tmp_path, AML_PORTAL_URL="https://runs.example.org/")
    assert found == "True runs.example.org ['https://runs.example.org']"


@pytest.mark.parametrize(
    "url", ["portal.example.org", "ftp://a", "https://a/b", "https://"]
)
def test_an_address_that_is_none_is_refused(settings: Settings, url: str) -> None:
    settings.PORTAL_URL = url
    assert _ids(checks.check_public_url()) == ["portal.E001"]


def test_a_broker_that_is_none_is_refused(settings: Settings) -> None:
    settings.REDIS_URL = "localhost:6379"
    assert _ids(checks.check_broker()) == ["portal.E002"]


def test_a_vault_key_that_is_none_is_refused(settings: Settings) -> None:
    settings.VAULT_KEYS = [Fernet.generate_key().decode(), "secret"]
    assert _ids(checks.check_vault_keys()) == ["portal.E004"]
    settings.VAULT_KEYS = [Fernet.generate_key().decode()]
    assert checks.check_vault_keys() == []


def test_missing_assets_are_noticed(settings: Settings, tmp_path: Path) -> None:
    settings.STATICFILES_DIRS = [tmp_path]
    _forget_finders()
    try:
        assert _ids(checks.check_assets()) == ["portal.E003"]
    finally:
        _forget_finders()


def test_a_portal_that_answers_to_no_name_is_noticed(settings: Settings) -> None:
    settings.PORTAL_HOST = "0.0.0.0"
    settings.ALLOWED_HOSTS = ["localhost", "127.0.0.1", "0.0.0.0"]
    assert _ids(checks.check_reachable()) == ["portal.W001"]
    settings.ALLOWED_HOSTS = ["gpu-box"]
    assert _ids(checks.check_reachable()) == []


def test_the_defaults_are_fine() -> None:
    for check in (
        checks.check_public_url,
        checks.check_broker,
        checks.check_vault_keys,
        checks.check_assets,
        checks.check_reachable,
    ):
        assert check() == []


def _forget_finders() -> None:
    get_finder.cache_clear()  # type: ignore[attr-defined]


def _ids(messages: list[CheckMessage]) -> list[str | None]:
    return [message.id for message in messages]
