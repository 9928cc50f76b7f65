"""Where addresses in definitions lead: by no way into the portal's own network."""

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.test import override_settings
from pytest_django.fixtures import Settings

from aml_portal.errors import UserError
from environments import conda
from environments.checking import check_packages
from environments.conda import Platform
from environments.definition import CondaDependencies, Definition
from environments.egress import egress_of
from environments.resolving import resolve
from tests.environments.wheels import Wheels
from tests.services.git import repository
from tests.services.git_server import GitServer, make_certificate, serving
from tests.services.package_index import serve_index
from tests.waiting import free_port

REFUSED = "127.0.0.1 is in the portal's own or in a private network"
_SETUP = "open({path!r}, 'w').close()\nimport setuptools; setuptools.setup(name='a')\n"


@pytest.fixture(autouse=True)
def own(tmp_path: Path, settings: Settings) -> Iterator[str]:
    """The portal's index, which has `model`, and `far` in an older version."""
    wheels = Wheels(tmp_path / "own")
    wheels.add("model", "1.0")
    wheels.add("far", "1.0")
    with serve_index(wheels.folder) as address:
        settings.PYTHON_INDEX, settings.PYTHON_EXTRA_INDEXES = address, []
        settings.PACKAGE_HOSTS = []
        yield address


@pytest.fixture
def other(tmp_path: Path) -> Iterator[str]:
    """The address of another index, which has `far`."""
    wheels = Wheels(tmp_path / "other")
    wheels.add("far", "7.0")
    with serve_index(wheels.folder) as address:
        yield address


@contextmanager
def answering(status: int, **headers: str) -> Iterator[tuple[str, list[str]]]:
    """A server with one answer, and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_CONNECT = do_POST = do_GET

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def check(*lines: str) -> str:
    return check_packages(Definition.of_packages(*lines))


@pytest.mark.parametrize(
    "line",
    [
        "--index-url {address}/simple",
        "--extra-index-url {address}/simple",
        "--find-links {address}/links.html",
        "far @ {address}/far-1.0-py3-none-any.whl",
        "far @ {address}/far-1.0.tar.gz",
        "far @ git+{address}/far",
    ],
)
def test_no_line_leads_into_the_own_network(line: str, settings: Settings) -> None:
    if line.startswith("--index-url"):
        # With one of the portal's, that of a definition has no effect.
        settings.PYTHON_INDEX = ""
    with answering(404) as (address, asked):
        with pytest.raises(UserError, match=REFUSED) as refused:
            check("far", line.format(address=address))
        with pytest.raises(UserError, match=REFUSED):
            resolve(
                Definition.of_packages("far", line.format(address=address)),
                python="3.11",
                platform="linux",
                seconds=20,
            )
    assert "AML_PORTAL_PACKAGE_HOSTS" in refused.value.advice
    assert not asked


def test_a_name_for_it_is_no_way_around() -> None:
    with pytest.raises(UserError, match="localhost is in the portal's own"):
        check("far", "--extra-index-url https://localhost:1/simple")


def test_no_channel_of_conda_leads_there() -> None:
    with answering(404) as (address, asked):
        dependencies = CondaDependencies(channels=(address,), packages=("far",))
        with pytest.raises(UserError, match=REFUSED):
            conda.solve(dependencies, Platform(machine="x86_64"), seconds=60)
    assert not asked


def test_what_the_administrator_allows_is_asked(other: str) -> None:
    with override_settings(PACKAGE_HOSTS=["127.0.0.1"]):
        assert check("far==7.0", "model", f"--extra-index-url {other}") == ""
    # The portal's own index needs no permission.
    with pytest.raises(UserError, match=REFUSED):
        check("far==7.0", "model", f"--extra-index-url {other}")


def test_redirects_are_followed_to_nowhere_else(other: str) -> None:
    with answering(302, Location=f"{other}/far/") as (address, asked):
        place = urlsplit(address).netloc
        with override_settings(PACKAGE_HOSTS=[place]):
            with pytest.raises(UserError, match=REFUSED):
                check("far==7.0", f"--extra-index-url {address}")
            assert asked
        both = [place, urlsplit(other).netloc]
        with override_settings(PACKAGE_HOSTS=both):
            # The links there are of the index that has sent it on.
            check("far==7.0", f"--extra-index-url {address}")


def test_without_tls_only_hosts_that_are_allowed_are_asked() -> None:
    with pytest.raises(UserError, match=r"Over http:// anybody on the way"):
        check("far", "--extra-index-url http://140.82.121.4/simple")


def test_a_definition_without_addresses_has_nothing_in_between() -> None:
    with egress_of(CondaDependencies(pip=("far",), channels=("ours",))) as egress:
        assert not egress.variables
    assert check("far") == ""


def test_other_accounts_of_the_machine_can_not_use_it() -> None:
    with egress_of(CondaDependencies(pip=("a @ https://h/a",))) as egress:
        proxy = urlsplit(egress.variables["HTTPS_PROXY"])
        for account in ("", "Proxy-Authorization: Basic cG9ydGFsOng=\r\n"):
            for line in ("CONNECT h:443", "GET http://h/"):
                assert ask(proxy.port, f"{line} HTTP/1.1\r\n{account}\r\n") == 407


def ask(port: int | None, request: str) -> int:
    with closing(socket.create_connection(("127.0.0.1", port or 0))) as connection:
        connection.sendall(request.encode())
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status


def test_a_host_that_is_not_there_is_a_remark() -> None:
    said = check("far", "--extra-index-url https://nowhere.invalid/simple")
    assert said.startswith(
        "The packages could not be checked: There is no host nowhere.invalid"
    )
    with override_settings(PACKAGE_HOSTS=["127.0.0.1"]):
        said = check("far", f"--extra-index-url https://127.0.0.1:{free_port()}/simple")
    assert "127.0.0.1 can't be reached: Connection refused." in said


def test_a_page_of_links_that_is_not_there_is_left_out() -> None:
    line = "--find-links https://nowhere.invalid/links"
    assert check("model", line) == f"{line} can't be read, and is left out."
    lock = resolve(
        Definition.of_packages("model", line),
        python="3.11",
        platform="linux",
        seconds=20,
    )
    assert lock.startswith(f"# Could not be read: {line}\nmodel==1.0")


def test_what_a_lock_needs_to_be_found_again_is_in_it(other: str) -> None:
    with override_settings(PACKAGE_HOSTS=["127.0.0.1"]):
        lock = resolve(
            Definition.of_packages("far", f"--extra-index-url {other}"),
            python="3.11",
            platform="linux",
            seconds=20,
        )
    assert lock.startswith(f"--extra-index-url {other}\nfar==7.0")


@pytest.fixture
def upstream(settings: Settings) -> Iterator[str]:
    """A proxy that the portal has to take, and that lets it go to this machine."""
    settings.PACKAGE_HOSTS = ["127.0.0.1"]
    with egress_of(CondaDependencies(pip=("a @ https://h/a",))) as egress:
        yield egress.variables["HTTPS_PROXY"]


@pytest.mark.parametrize("is_secure", [False, True])
def test_the_portals_proxy_is_taken(
    upstream: str, tmp_path: Path, is_secure: bool, settings: Settings
) -> None:
    certificate = make_certificate(tmp_path, "127.0.0.1")
    code = repository(tmp_path / "git" / "far", {"setup.py": "", "pyproject.toml": ""})
    file = certificate.file if is_secure else None
    with serving(GitServer(code.parent), certificate=file) as server:
        line = f"far @ git+{server.url}/far/.git"
        settings.PYTHON_CA_BUNDLE = str(certificate.public)
        settings.PYTHON_PROXY = upstream
        check(line)
        assert server.seen
        server.seen.clear()
        settings.PYTHON_PROXY = upstream.replace("portal:", "stranger:")
        check(line)
        assert not server.seen
        settings.PYTHON_NO_PROXY = "127.0.0.1"
        check(line)
        assert server.seen


def test_no_code_of_a_repository_or_of_an_archive_is_run(
    tmp_path: Path, settings: Settings
) -> None:
    mark = tmp_path / "was-run"
    setup = _SETUP.format(path=str(mark))
    backend = (
        f"open({str(mark)!r}, 'w').close()\n"
        "def prepare_metadata_for_build_wheel(*_): raise SystemExit\n"
        "build_wheel = prepare_metadata_for_build_wheel\n"
    )
    project = '[build-system]\nrequires=[]\nbuild-backend="b"\nbackend-path=["."]\n'
    for name, files in (
        ("old", {"setup.py": setup}),
        ("new", {"pyproject.toml": project, "b.py": backend}),
    ):
        repository(tmp_path / "git" / name, files)
    settings.PACKAGE_HOSTS = ["127.0.0.1"]
    with serving(GitServer(tmp_path / "git")) as server:
        for name in ("old", "new"):
            line = f"{name} @ git+{server.url}/{name}/.git"
            said = check(line, "--no-binary :all:")
            assert "has no wheel" in said
        assert server.seen
    assert not mark.exists()
