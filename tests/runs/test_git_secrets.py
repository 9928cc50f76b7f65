"""A real portal fetches a private repository: nobody finds the token anywhere."""

import base64
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.services.git import repository
from tests.services.git_server import GitServer, make_certificate, serving
from tests.services.portal import Portal
from tests.waiting import eventually

_USER, _TOKEN = "ada", "glpat-a-token-of-tests"
_PAIR = base64.b64encode(f"{_USER}:{_TOKEN}".encode())


def found_in(paths: list[Path]) -> list[Path]:
    """Those of `paths` in which the token is, in one form or the other."""
    found = []
    for path in paths:
        try:
            content = path.read_bytes()
        except OSError:
            continue
        if _TOKEN.encode() in content or _PAIR in content:
            found.append(path)
    return found


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.timeout(180)
def test_a_token_is_in_no_file_and_no_process_list(
    make_portal: Callable[..., Portal], tmp_path: Path
) -> None:
    served = tmp_path / "served"
    project = {"train.py": b"print(1)", "noise.bin": os.urandom(500_000)}
    repository(served / "project", project)
    certificate = make_certificate(tmp_path, "127.0.0.1")
    portal = make_portal(
        AML_PORTAL_GIT_HOSTS="127.0.0.1", GIT_SSL_CAINFO=certificate.public
    )
    client = portal.sign_in()
    server = GitServer(served, login=(_USER, _TOKEN))
    with serving(server, certificate=certificate.file):
        host = server.url.removeprefix("https://")
        form = {"host": host, "user_name": _USER, "secret": _TOKEN}
        page = client.post("/git-credentials/new/", data=form)
        assert f"The credential for {host} is kept." in page.text
        assert _TOKEN not in page.text

        server.holds = True
        address = {"address": f"{server.url}/project/.git"}
        asked_for = client.post("/runs/snapshots/git/", data=address).json()["import"]
        assert server.is_held.wait(30)
        processes = list(Path("/proc").glob("[0-9]*/cmdline"))
        assert found_in([*processes, *files(portal.data)]) == []
        server.released.set()

        url = f"/runs/snapshots/git/{asked_for}/"
        answer = eventually(lambda: client.get(url).json().get("found"), "it is there")
        assert answer["files"] == ["noise.bin", "train.py"]
    assert _TOKEN not in client.get(url).text + client.get("/git-credentials/").text
    assert found_in(files(portal.data)) == []
    portal.manage("rotate_vault_keys")
    portal.stop()
    assert found_in(files(portal.data)) == []
