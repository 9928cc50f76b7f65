"""What indexes, channels and packages of strangers can't have the portal do."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from http.server import (
    BaseHTTPRequestHandler,
    SimpleHTTPRequestHandler,
    ThreadingHTTPServer,
)
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from aml_portal.errors import UserError
from environments import conda, programs
from environments.checking import check_packages
from environments.compiling import Question
from environments.conda import Platform
from environments.definition import CondaDependencies, Definition
from environments.refusals import refusal
from environments.resolving import resolve
from environments.uv import program_for
from tests.environments.conda_channel import CondaChannel
from tests.environments.sources import source
from tests.environments.wheels import Wheels
from tests.services.git import repository
from tests.services.package_index import serve_index

HERE = Platform(machine="x86_64", glibc="2.36")
_BACKEND = """
open({mark!r}, "w").close()
def prepare_metadata_for_build_wheel(*_): raise SystemExit
build_wheel = prepare_metadata_for_build_wheel
"""


@pytest.fixture(autouse=True)
def own(tmp_path: Path, settings: Settings) -> Iterator[None]:
    """The portal's index."""
    Wheels(tmp_path / "own").add("model", "1.0")
    with serve_index(tmp_path / "own") as address:
        settings.PYTHON_INDEX, settings.PYTHON_EXTRA_INDEXES = address, []
        settings.PACKAGE_HOSTS = ["127.0.0.1"]
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the stranger's server has."""
    folder = tmp_path / "stranger"
    folder.mkdir()
    return folder


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def lock(*lines: str) -> str:
    return resolve(
        Definition.of_packages(*lines),
        python="3.11",
        platform="x86_64-manylinux_2_28",
        seconds=30,
    )


@pytest.mark.parametrize(
    "options",
    [
        ("--no-binary far",),
        ("--no-binary model,far", "--only-binary :none:"),
        ("--no-binary :all:",),
        ("--only-binary :none:",),
    ],
)
def test_no_option_has_code_of_a_package_run(
    folder: Path, address: str, tmp_path: Path, options: tuple[str, ...]
) -> None:
    mark = tmp_path / "was-run"
    source(folder, "far", _BACKEND.format(mark=str(mark)), static=False)
    links = f"--find-links {address}/links.html"
    (folder / "links.html").write_text('<a href="far-1.0.tar.gz">far-1.0.tar.gz</a>')
    for lines in ((links, "far"), (f"far @ {address}/far-1.0.tar.gz",)):
        said = check_packages(Definition.of_packages(*options, *lines))
        assert "built from its source" in said or "has to be built" in said
        with pytest.raises(UserError):
            lock(*options, *lines)
    assert not mark.exists()


def test_a_lock_has_it_that_a_package_is_not_to_be_a_wheel(
    folder: Path, address: str
) -> None:
    Wheels(folder).add("far", "1.0")
    line = f"far @ {address}/far-1.0-py3-none-any.whl"
    assert lock("--no-binary model", "model").startswith("--no-binary model\nmodel==1")
    assert "--no-binary model" in lock("--no-binary model", line)


@pytest.mark.parametrize("base", ["file:///etc/", "ftp://h/", "git+file:///etc"])
def test_no_channel_of_conda_has_its_packages_elsewhere_than_on_servers(
    folder: Path, address: str, base: str
) -> None:
    _channel(folder, base)
    dependencies = CondaDependencies(channels=(f"{address}/ours",), packages=("far",))
    with pytest.raises(UserError, match=r"A channel has (far|python) at .*/(far|pyth)"):
        conda.solve(dependencies, HERE, seconds=60)


def test_a_channel_that_is_a_folder_has_no_packages_beside_it(
    folder: Path, settings: Settings
) -> None:
    settings.CONDA_CHANNEL_ALIAS = f"file://{folder}"
    dependencies = CondaDependencies(channels=("ours",), packages=("far",))
    _channel(folder, "")
    assert conda.solve(dependencies, HERE, seconds=60)
    for base in (f"file://{folder}-private", f"file://{folder}/../private"):
        _channel(folder, base)
        with pytest.raises(UserError, match="where no package is fetched from"):
            conda.solve(dependencies, HERE, seconds=60)


def _channel(folder: Path, base: str) -> None:
    """A channel that says that its packages are at `base`."""
    if not (folder / "ours").exists():
        channel = CondaChannel(folder / "ours")
        channel.add("far", "1.0", {})
        channel.index()
    noarch = folder / "ours" / "noarch"
    for shorter in ("repodata_shards.msgpack.zst", "repodata.json.zst"):
        (noarch / shorter).unlink(missing_ok=True)
    file = noarch / "repodata.json"
    index = json.loads(file.read_text())
    index["info"].pop("base_url", None)
    if base:
        index |= {"repodata_version": 2, "info": {**index["info"], "base_url": base}}
    file.write_text(json.dumps(index))


@pytest.mark.parametrize(
    "place",
    ["file://{0}/x-1.0-py3-none-any.whl", "git+file://{0}/code", "file://{0}/code"],
)
def test_no_lock_has_files_of_the_portal_that_a_package_asks_for(
    folder: Path, address: str, tmp_path: Path, place: str
) -> None:
    private = tmp_path / "private"
    Wheels(private).add("x", "1.0")
    repository(
        private / "code", {"pyproject.toml": '[project]\nname="x"\nversion="1.0"\n'}
    )
    needs = f"x @ {place.format(private)}"
    Wheels(folder).add("far", "1.0", requires=(needs,))
    with pytest.raises(UserError, match="which can't be fetched"):
        lock(f"far @ {address}/far-1.0-py3-none-any.whl")


def test_an_index_without_end_takes_no_more_memory_than_a_program_may_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(programs, "_MEMORY", 1 << 30)

    class Endless(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            while True:
                self.wfile.write(b"<a href='x'>far</a>\n" * 50_000)

        def handle(self) -> None:
            with suppress(OSError):
                super().handle()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Endless) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        line = f"--extra-index-url http://127.0.0.1:{server.server_port}/simple"
        with pytest.raises(UserError, match="An index has more to say than"):
            check_packages(Definition.of_packages("far", line), seconds=60)
        server.shutdown()


def test_a_name_of_any_length_is_told_at_once() -> None:
    """What uv says of it has the name, and is searched for what went wrong."""
    begun = time.monotonic()
    with pytest.raises(UserError, match="There is no package"):
        check_packages(Definition.of_packages("9" * 19_000))
    question = Question(lines=("far",), python="3.11")
    for words in ("far==" + "9" * 200_000, "you require " + "far" * 100_000):
        assert refusal(f"cause: {words} hint: ", question).message
    assert time.monotonic() < begun + 5


def test_machines_choose_no_folder_of_the_portal_by_what_they_say_they_are(
    tmp_path: Path, settings: Settings
) -> None:
    settings.PACKAGES_FOLDER = tmp_path / "packages"
    assert program_for(f"x/../../../../{tmp_path}/made") is None
    assert not [*tmp_path.glob("made*")]
    said = {"machine": "x86_64", "glibc": "9" * 9_999, "cuda": "12.4 glibc=1"}
    assert str(Platform.of(said)) == "linux-64 glibc=9999 cuda=12.4"


def test_however_many_save_at_once_few_are_checked_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        definition = Definition.of_packages(
            "far", f"--extra-index-url http://{place}/simple"
        )
        silent.settimeout(3)
        with ThreadPoolExecutor(20) as people:
            said = [
                people.submit(check_packages, definition, seconds=5) for _ in range(20)
            ]
            asking = set()
            with suppress(TimeoutError):
                while True:
                    asking.add(silent.accept()[0])
            assert 0 < len(asking) <= 8
    assert all("within 5 seconds" in each.result() for each in said)
