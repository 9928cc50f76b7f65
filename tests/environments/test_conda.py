"""What packages of conda come to: solved from a real channel, told in sentences."""

import base64
import json
import threading
from collections.abc import Iterator
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path

import pytest
from django.test import override_settings
from rattler import Channel

from aml_portal.errors import UserError
from environments import channels, conda
from environments.conda import Platform
from environments.definition import CondaDependencies
from tests.environments.conda_channel import PYTHON, CondaChannel
from tests.waiting import free_port

HERE = Platform(machine="x86_64", glibc="2.36")


@pytest.fixture
def channel(tmp_path: Path) -> CondaChannel:
    channel = CondaChannel(tmp_path / "conda" / "ours")
    channel.add("core", "1.0", {})
    channel.add("core", "2.0", {})
    channel.add("fast", "1.0", {}, ["__cuda >=12"])
    channel.add("fast", "0.1", {})
    channel.add("newest", "1.0", {}, ["__glibc >=2.37"])
    channel.add_module("numlib", "2.0", ["core >=2"])
    channel.index()
    return channel


@pytest.fixture(autouse=True)
def _alias(tmp_path: Path) -> Iterator[None]:
    with override_settings(CONDA_CHANNEL_ALIAS=f"file://{tmp_path}/conda"):
        yield


def solved(*packages: str, channel: str, platform: Platform = HERE) -> dict[str, str]:
    dependencies = CondaDependencies(channels=(channel,), packages=packages)
    return conda.versions_of(conda.solve(dependencies, platform, seconds=60))


def refusal(*packages: str, channel: str) -> str:
    with pytest.raises(UserError) as caught:
        solved(*packages, channel=channel)
    return str(caught.value)


def test_it_comes_to_exact_packages_with_their_hashes(channel: CondaChannel) -> None:
    dependencies = CondaDependencies(channels=(channel.address,), packages=("numlib",))
    records = conda.solve(dependencies, HERE, seconds=60)
    assert conda.versions_of(records) == {
        "core": "2.0",
        "numlib": "2.0",
        # Without which there is nothing to run a script.
        "python": PYTHON,
    }
    assert conda.python_packages(records) == {"numlib": "2.0"}
    for record in records:
        assert len(record["sha256"]) == 64
        assert record["url"].startswith(channel.address)


def test_what_the_machine_has_decides(channel: CondaChannel) -> None:
    assert solved("fast", channel=channel.address)["fast"] == "0.1"
    gpus = Platform(machine="x86_64", glibc="2.36", cuda="12.4")
    assert solved("fast", channel=channel.address, platform=gpus)["fast"] == "1.0"
    assert str(gpus) == "linux-64 glibc=2.36 cuda=12.4"
    assert "__glibc >=2.37" in refusal("newest", channel=channel.address)


@pytest.mark.parametrize(
    ("other", "serves"),
    [
        ("linux-64 glibc=2.36 cuda=12.4", True),
        ("linux-64 glibc=2.9 cuda=11.8", True),
        ("linux-64 glibc=2.37 cuda=12.4", False),
        ("linux-64 glibc=2.36 cuda=12.10", False),
        ("linux-64 glibc=2.36", False),
        ("linux-aarch64 glibc=2.36 cuda=12.4", False),
    ],
)
def test_what_was_solved_for_older_machines_serves_newer_ones(
    other: str, serves: bool
) -> None:
    here = Platform(machine="x86_64", glibc="2.36", cuda="12.4")
    assert here.serves(other) is serves


def test_machines_get_the_rattler_that_the_portal_solves_with() -> None:
    (line, *_) = Path("environments/rattler.txt").read_text().splitlines()
    assert line == f"py-rattler=={version('py-rattler')} \\"


def test_a_machine_that_conda_knows_nothing_of_is_told() -> None:
    with pytest.raises(UserError, match="no packages of conda for s390"):
        _ = Platform(machine="s390").subdir


@pytest.mark.parametrize(
    ("packages", "sentence"),
    [
        (("nothing",), "There is no “nothing” in the channels of this environment."),
        (
            ("core=9.1",),
            "There is no “core 9.1.*” in the channels of this environment.",
        ),
        (
            ("numlib", "core<2"),
            "These packages can't be installed together: ",
        ),
    ],
)
def test_what_can_not_be_solved_is_a_sentence(
    channel: CondaChannel, packages: tuple[str, ...], sentence: str
) -> None:
    said = refusal(*packages, channel=channel.address)
    assert said.startswith(sentence)
    assert "\n" not in said
    assert "─" not in said


def test_a_channel_that_is_not_there_is_told(tmp_path: Path) -> None:
    said = refusal("core", channel=f"file://{tmp_path}/none")
    assert said == f"There is no channel of conda at file://{tmp_path}/none."
    port = free_port()
    with override_settings(PACKAGE_HOSTS=["127.0.0.1"]):
        said = refusal("core", channel=f"http://127.0.0.1:{port}/ours")
    assert said == "127.0.0.1 can't be reached: Connection refused."
    with override_settings(CONDA_CHANNEL_ALIAS=f"http://127.0.0.1:{port}"):
        said = refusal("core", channel="ours")
    assert f"http://127.0.0.1:{port}/ours" in said
    assert "can't be reached: Connection refused" in said


class _Guarded(SimpleHTTPRequestHandler):
    """Shows a folder to whoever has signed in as ada."""

    def do_GET(self) -> None:
        account = base64.b64encode(b"ada:pass/word").decode()
        if self.headers.get("Authorization") == f"Basic {account}":
            return super().do_GET()
        return self.send_error(HTTPStatus.UNAUTHORIZED)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(channel: CondaChannel) -> Iterator[int]:
    handler = partial(_Guarded, directory=str(channel.folder.parent))
    with ThreadingHTTPServer(("localhost", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_private_channel_is_signed_in_to_and_no_lock_has_the_password(
    server: int,
) -> None:
    address = f"http://localhost:{server}"
    with override_settings(CONDA_CHANNEL_ALIAS=address):
        said = refusal("core", channel="ours")
        assert "the server says 401 Unauthorized" in said
    account = f"http://ada:pass%2Fword@localhost:{server}/"
    with override_settings(CONDA_CHANNEL_ALIAS=account):
        dependencies = CondaDependencies(channels=("ours",), packages=("core",))
        records = conda.solve(dependencies, HERE, seconds=60)
        assert refusal("core", channel="others") == (
            f"There is no channel of conda at {address}/others."
        )
    assert records[0]["url"].startswith(f"{address}/ours/noarch/core-2.0")
    assert "pass" not in json.dumps(records)


def test_names_are_those_of_the_public_channels_by_default() -> None:
    with override_settings(CONDA_CHANNEL_ALIAS=""):
        public = Channel("fast").base_url.removesuffix("/")
        named = ["fast", "nodefaults", "https://x.test/y"]
        assert channels.addresses(named) == [public, "https://x.test/y"]
        (forge,) = channels.addresses([])
        assert forge.endswith("/conda-forge")
        assert forge.startswith("https://")
        assert channels.credentials() == {}


@pytest.mark.parametrize(
    ("packages", "named", "needs"),
    [
        (("python=3.11", "pip"), (), False),
        (("python=3.11", "pip"), ("conda-forge",), False),
        (("python=3.6.15",), ("conda-forge",), True),
        (("python=3.6.15",), (), False),
        (("python>=3.11", "numpy"), (), True),
    ],
)
def test_conda_is_for_what_pip_can_not_do(
    packages: tuple[str, ...], named: tuple[str, ...], needs: bool
) -> None:
    dependencies = CondaDependencies(channels=named, packages=packages)
    assert dependencies.needs_conda == needs
