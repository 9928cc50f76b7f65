"""Settings from the environment: what is taken, and what is refused with a sentence."""

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from aml_portal.env import (
    env_bool,
    env_folder,
    env_hosts,
    env_int,
    env_list,
    env_secret,
    env_str,
    env_time_zone,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", True),
        ("yes", True),
        ("TRUE", True),
        ("on", True),
        ("0", False),
        ("", False),
    ],
)
def test_a_switch(monkeypatch: pytest.MonkeyPatch, text: str, value: bool) -> None:
    monkeypatch.setenv("SWITCH", text)
    assert env_bool("SWITCH", default=not value) is value


def test_what_is_not_set_has_its_default() -> None:
    assert env_bool("NOT_SET", default=True)
    assert env_int("NOT_SET", 5) == 5
    assert env_list("NOT_SET", ["a"]) == ["a"]
    assert env_str("NOT_SET", "b") == "b"
    assert env_secret("NOT_SET") == ""


def test_a_word_that_is_no_switch_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCH", "maybe")
    with pytest.raises(ImproperlyConfigured, match="SWITCH is 'maybe': use 1 or 0"):
        env_bool("SWITCH")


@pytest.mark.parametrize("text", ["-1", "1.5", "ten", "", " 3", "0"])
def test_a_text_that_is_no_number_is_refused(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("NUMBER", text)
    with pytest.raises(ImproperlyConfigured, match="a whole number of at least 1"):
        env_int("NUMBER", 5, minimum=1)


def test_a_number_may_be_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBER", "65536")
    with pytest.raises(ImproperlyConfigured, match="at least 0 and at most 65535"):
        env_int("NUMBER", 5, maximum=65535)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "/etc/passwd"])
def test_a_time_zone_that_is_none_is_refused(
    monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    monkeypatch.setenv("ZONE", zone)
    with pytest.raises(ImproperlyConfigured, match="a name like Europe/Berlin"):
        env_time_zone("ZONE", "UTC")


def test_a_folder_is_made_for_its_owner_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FOLDER", str(tmp_path / "a" / "b"))
    assert env_folder("FOLDER", tmp_path).stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["file/folder", "file"])
def test_a_folder_that_can_be_none_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FOLDER", str(tmp_path / name))
    with pytest.raises(ImproperlyConfigured, match="which can't be made"):
        env_folder("FOLDER", tmp_path)


def test_a_list_has_no_empty_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIST", " a, b,,c ,")
    assert env_list("LIST", []) == ["a", "b", "c"]


def test_a_secret_may_lie_in_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text("from the file\n")
    monkeypatch.setenv("SECRET", "from the environment")
    assert env_secret("SECRET") == "from the environment"
    monkeypatch.setenv("SECRET_FILE", str(file))
    assert env_secret("SECRET") == "from the file"


def test_a_secret_file_that_is_missing_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SECRET_FILE", "/no/such/file")
    with pytest.raises(ImproperlyConfigured, match="SECRET_FILE names /no/such/file"):
        env_secret("SECRET")


def test_hosts_and_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    given = "Git.example.org, git:8443, 10.2.0.0/16, 10.0.0.5, fd00::/8, [::1]:443"
    monkeypatch.setenv("HOSTS", given)
    assert env_hosts("HOSTS") == given.lower().split(", ")
    assert env_hosts("NOT_SET") == []


@pytest.mark.parametrize(
    "text", ["https://git.example.org", "10.2.0.1/16", "a b", "git.example.org:x", "*"]
)
def test_what_is_no_host(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("HOSTS", text)
    with pytest.raises(ImproperlyConfigured, match="HOSTS has"):
        env_hosts("HOSTS")
