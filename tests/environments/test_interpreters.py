"""Which interpreters an environment may name."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from aml_portal.errors import UserError
from environments import interpreters
from environments.interpreters import capture, check_interpreter
from environments.uv import program as uv_program
from tests.environments.wheels import Wheels
from tests.waiting import eventually


def program(folder: Path, text: str) -> str:
    path = folder / "program"
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def test_the_portals_own_is_asked_where_none_is_named() -> None:
    facts = check_interpreter("")
    assert facts.version == sys.version.split()[0]
    assert facts.executable == sys.executable


def test_an_interpreter_tells_its_version() -> None:
    assert check_interpreter("/usr/bin/python3").version.startswith("3.")


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/no/such/python", "/no/such/python does not exist on the portal's machine."),
        ("/usr", "/usr is a folder."),
        ("python3", "python3 is not a path from the root."),
        ("/etc/hostname", "/etc/hostname is not a Python interpreter."),
        ("/bin/true", "/bin/true is not a Python interpreter."),
        ("/usr/bin/python3\0", "The path contains a NUL character."),
        ("/" + "x" * 5000, "can't be read: File name too long."),
    ],
)
def test_what_is_no_interpreter_is_refused(path: str, sentence: str) -> None:
    with pytest.raises(UserError) as refused:
        check_interpreter(path)
    assert sentence in refused.value.message
    assert "Give the path of" in refused.value.advice


@pytest.mark.parametrize(
    "text",
    [
        "#!/bin/sh\necho garbage\n",
        "#!/bin/sh\necho '[\"3.11.0\"]'\n",
        "#!/bin/sh\necho 7\n",
        "#!/no/such/shell\n",
        "#!/bin/sh\nexit 3\n",
    ],
)
def test_a_program_that_answers_otherwise_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match="is not a Python interpreter"):
        check_interpreter(program(tmp_path, text))


def test_a_program_that_never_answers_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its child holds the pipe open longer than anybody wants to wait."""
    monkeypatch.setattr(interpreters, "_TIMEOUT", 0.5)
    pid = tmp_path / "pid"
    hanging = program(tmp_path, f"#!/bin/sh\nsleep 600 &\necho $! >{pid}\nwait\n")
    with pytest.raises(UserError, match=r"did not answer within 0\.5 seconds"):
        check_interpreter(hanging)
    child = int(pid.read_text())
    eventually(lambda: not is_running(child), "what it had started is gone too")


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"


def test_the_packages_of_an_interpreter_are_captured(tmp_path: Path) -> None:
    wheels = Wheels(tmp_path / "wheels")
    plain, local = wheels.add("plain", "1.5"), wheels.add("local")
    make_venv(tmp_path / "venv", [f"--find-links={wheels.folder}", "plain", str(local)])
    site = next((tmp_path / "venv/lib").glob("python*/site-packages"))
    direct = {"url": "https://h/far", "vcs_info": {"vcs": "git", "commit_id": "abc"}}
    add_package(site, "far", direct)
    add_package(site, "archive", {"url": "https://h/archive.zip"})
    read = capture(str(tmp_path / "venv/bin/python"))
    conda = read.definition.python.conda_dependencies
    assert conda.python == f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert conda.pip == (
        "archive @ https://h/archive.zip",
        "far @ git+https://h/far@abc",
        "plain==1.5",
    )
    assert read.notes == ("local was installed from a folder, and is left out.",)
    assert plain.exists()


def make_venv(folder: Path, packages: list[str]) -> None:
    uv = [str(uv_program()), "--quiet", "--offline"]
    subprocess.run([*uv, "venv", "--python", sys.executable, folder], check=True)
    install = [*uv, "pip", "install", "--no-index", f"--python={folder}/bin/python"]
    subprocess.run([*install, *packages], check=True)


def add_package(site: Path, name: str, direct: Mapping[str, object]) -> None:
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    )
    (info / "direct_url.json").write_text(json.dumps(direct))
