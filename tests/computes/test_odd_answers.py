"""Machines that answer otherwise than the runner would."""

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from aml_portal.errors import TargetError
from computes.checks import Checks
from computes.frames import FrameReader, SpoiltFramesError
from computes.gpus import chosen
from computes.hosts import Ran, TargetAwayError
from computes.hosts.ssh import SshHost
from computes.launchers.process import ProcessLauncher
from computes.runner import gpus
from tests.computes.jobs import write_program
from tests.services.sshd import Sshd

GPU: dict[str, Any] = {
    "index": 0,
    "name": "A100",
    "uuid": "GPU-1",
    "util_percent": 1.0,
    "memory_used": 1,
    "memory": 2,
    "processes": [],
}
NO_GPUS: list[Any] = [
    "many",
    [GPU] * 2,
    [{**GPU, "index": number} for number in range(1000)],
    [{**GPU, "index": 10**30}],
    [{**GPU, "memory": "much"}],
    [{**GPU, "util_percent": float("nan")}],
    [{**GPU, "processes": [{"pid": "1", "owner": ["root"], "memory": 1}]}],
    [{}],
    [7],
]


# Says what is in a file, whatever it is asked.
LIAR = """
import sys
def main(root):
    for _ in iter(sys.stdin.buffer.readline, b""):
        with open({said!r}, "rb") as file:
            sys.stdout.buffer.write(file.read() + b"\\n")
        sys.stdout.flush()
"""


@pytest.fixture(scope="module")
def liar(sshd: Sshd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshHost]:
    """A machine whose root somebody else has: see `lie`."""
    root = tmp_path_factory.mktemp("there")
    account = sshd.account()
    host = SshHost(account, key="liar", root=str(root), python=sys.executable)
    with closing(host):
        host.facts()
        [server] = root.rglob("server.py")
        server.write_text(LIAR.format(said=str(root / "said")))
        host.close()
        yield host


@pytest.fixture
def host(sshd: Sshd, tmp_path: Path) -> Iterator[SshHost]:
    root = str(tmp_path / "there")
    host = SshHost(sshd.account(), key=root, root=root, python=sys.executable)
    with closing(host):
        yield host


def lie(host: SshHost, answer: bytes) -> None:
    """Have the machine say this from now on."""
    Path(host._root, "said").write_bytes(answer)


@pytest.mark.parametrize(
    "answer",
    [b"7", b"[]", b"null", b"{}", b"[" * 100_000, b"\xff", b'{"answers": 1}'],
    ids=["number", "list", "null", "empty", "deep", "no UTF-8", "other"],
)
def test_what_is_no_answer_counts_as_none(liar: SshHost, answer: bytes) -> None:
    lie(liar, answer)
    with pytest.raises(TargetAwayError, match="did not answer"):
        liar.facts()


@pytest.mark.parametrize("answer", [1, [], {}, "x", None, {"state": 5}])
@pytest.mark.parametrize("ask", ["facts", "gpus", "living", "place", "state"])
def test_an_answer_of_another_form_is_told(
    liar: SshHost, ask: str, answer: object
) -> None:
    if (ask, answer) == ("living", {}):
        return
    lie(liar, json.dumps({"answer": answer}).encode())
    arguments = ["job"] if ask in ("place", "state") else []
    with pytest.raises(TargetError, match="does not understand"):
        getattr(liar, ask)(*arguments)


@pytest.mark.parametrize("devices", NO_GPUS)
def test_what_can_be_no_gpus_is_told(liar: SshHost, devices: object) -> None:
    said = {"devices": devices, "error": "", "has_tool": True}
    lie(liar, json.dumps({"answer": said}).encode())
    with pytest.raises(TargetError, match="does not understand"):
        liar.gpus()


def test_gpus_have_names_that_a_page_can_bear(liar: SshHost) -> None:
    name = "A\x00100\n\x1b[31m\ud800" + "x" * 1_000_000
    said = {"devices": [{**GPU, "name": name}], "error": "", "has_tool": True}
    lie(liar, json.dumps({"answer": said}).encode())
    [gpu] = chosen("", liar.gpus())
    assert gpu.name.isprintable()
    assert len(gpu.name) < 1000


def test_an_error_is_no_longer_than_people_read(liar: SshHost) -> None:
    lie(liar, json.dumps({"error": "no\x00" * 1_000_000}).encode())
    with pytest.raises(TargetError) as raised:
        liar.state("job")
    assert len(str(raised.value)) < 1000
    assert str(raised.value).isprintable()


def test_a_check_tells_of_what_nobody_has_thought_of(host: SshHost) -> None:
    class Odd(ProcessLauncher):
        def checks(self) -> Any:
            return {"Engine": lambda: str([][0])}

    outcomes = [*Checks(host=host, launcher=Odd(host))]
    [odd] = [each for each in outcomes if each.name == "Engine"]
    assert odd.is_fine is False
    assert "does not understand" in odd.detail
    assert outcomes[-1].is_fine is None


@pytest.mark.parametrize(
    "sent",
    [
        b'{"job": "a", "size": -20}\n',
        b'{"job": "a", "size": 1000000000000}\n',
        b'{"job": "a", "size": "9"}\n',
        b"[]\n",
        b"SSH-2.0\n",
        b"[" * 100_000 + b"\n",
        b"x" * (1 << 26),
    ],
    ids=["negative", "huge", "text", "list", "no JSON", "deep", "endless"],
)
def test_what_are_no_frames_ends_the_stream(sent: bytes) -> None:
    with pytest.raises(SpoiltFramesError):
        [*FrameReader().feed(sent)]


def test_nvidia_smi_may_say_what_is_no_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_program(
        tmp_path / "nvidia-smi",
        "#!/bin/sh\ncase $1 in *gpu_uuid*) exit 0;; esac\n"
        "echo '0, A100, GPU-1, nan, inf, 1e999'\n",
    )
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    [device] = gpus.look()["devices"]
    kept = [device[name] for name in ("util_percent", "memory_used", "memory")]
    assert kept == [None, None, None]


def test_a_complaint_is_a_line_that_a_page_can_bear() -> None:
    said = Ran(code=1, out=b"", err=b"\x1b[31mno\x00\xff\n" * 10_000).complaint
    assert said.isprintable()
    assert len(said) <= 500
