"""What a machine tells of its GPUs, whatever its nvidia-smi says."""

import getpass
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aml_portal.errors import UserError
from computes.gpus import Gpu, chosen, parse_choice
from computes.hosts import Host
from computes.hosts.local import LocalHost
from computes.hosts.ssh import SshHost
from computes.runner import gpus
from tests.services.nvidia_smi import NO_DRIVER, NvidiaSmi, uuid
from tests.services.sshd import Sshd

MiB = 1 << 20


@pytest.fixture(scope="module")
def smi(tmp_path_factory: pytest.TempPathFactory) -> NvidiaSmi:
    return NvidiaSmi(tmp_path_factory.mktemp("smi"))


@pytest.fixture(scope="module")
def far(smi: NvidiaSmi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with Sshd(SetEnv=f"PATH={smi.path}") as sshd:
        root = str(tmp_path_factory.mktemp("far"))
        host = SshHost(sshd.account(), key="k", root=root, python=sys.executable)
        yield host
        host.close()


@pytest.fixture(params=["here", "over SSH"])
def host(
    request: pytest.FixtureRequest,
    smi: NvidiaSmi,
    far: Host,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Host:
    smi.works()
    if request.param == "over SSH":
        return far
    monkeypatch.setenv("PATH", smi.path)
    return LocalHost(tmp_path)


def test_it_tells_the_devices_and_who_uses_them(host: Host, smi: NvidiaSmi) -> None:
    mine, me = os.getpid(), getpass.getuser()
    smi.says(
        f"0, NVIDIA GeForce RTX 3090, {uuid(0)}, 97, 12405, 24576",
        f"1, NVIDIA GeForce RTX 3090, {uuid(1)}, 0, 4, 24576",
        processes=[
            f"{uuid(0)}, {mine}, 12401",
            f"{uuid(0)}, 4194305, [N/A]",
            f"MIG-{uuid(1)[4:]}, 1, 100",
        ],
    )
    assert host.gpus() == {
        "devices": [
            {
                "index": 0,
                "name": "NVIDIA GeForce RTX 3090",
                "uuid": uuid(0),
                "util_percent": 97.0,
                "memory_used": 12405 * MiB,
                "memory": 24576 * MiB,
                "processes": [
                    {
                        "pid": str(mine),
                        "owner": me,
                        "memory": 12401 * MiB,
                    },
                    # It has ended since, or is in a container of its own.
                    {"pid": "4194305", "owner": "", "memory": None},
                ],
            },
            {
                "index": 1,
                "name": "NVIDIA GeForce RTX 3090",
                "uuid": uuid(1),
                "util_percent": 0.0,
                "memory_used": 4 * MiB,
                "memory": 24576 * MiB,
                "processes": [],
            },
        ],
        "error": "",
        "has_tool": True,
    }
    assert host.facts()["gpus"] == host.gpus()["devices"]


@pytest.mark.parametrize("unknown", ["[N/A]", "[Not Supported]", "[Unknown Error]"])
def test_what_a_device_does_not_tell_is_not_known(
    host: Host, smi: NvidiaSmi, unknown: str
) -> None:
    smi.says(
        f"0, NVIDIA GB10, with a comma, {uuid(0)}, {unknown}, {unknown}, {unknown}"
    )
    (device,) = host.gpus()["devices"]
    assert device["name"] == "NVIDIA GB10, with a comma"
    for name in ("util_percent", "memory_used", "memory"):
        assert device[name] is None


def test_a_driver_that_fails_is_told(host: Host, smi: NvidiaSmi) -> None:
    smi.has(2)
    smi.fails()
    told = host.gpus()
    assert told["devices"] == []
    assert told["error"].startswith("nvidia-smi failed with 9: NVIDIA-SMI has failed")
    assert NO_DRIVER.split(".")[0] in told["error"]
    assert host.facts()["gpu_error"] == told["error"]


@pytest.mark.parametrize(
    "line", ["No devices were found", "x, A100, GPU-1, 0, 0, 0", "0, A100"]
)
def test_an_answer_of_another_form_is_told(
    host: Host, smi: NvidiaSmi, line: str
) -> None:
    smi.says(line)
    told = host.gpus()
    assert told["devices"] == []
    assert "in a form that the portal does not know" in told["error"]


def test_a_machine_without_the_program_has_no_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    told = LocalHost(tmp_path).gpus()
    assert told == {"devices": [], "error": "", "has_tool": False}


def test_a_program_that_hangs_is_not_waited_for(
    smi: NvidiaSmi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", smi.path)
    monkeypatch.setattr(gpus, "_SECONDS", 0.3)
    smi.works()
    smi.hangs()
    begun = time.monotonic()
    told = LocalHost(tmp_path).gpus()
    assert time.monotonic() - begun < 5
    assert "nvidia-smi did not answer within" in told["error"]
    smi.works()


def test_a_program_that_can_not_be_started_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_bytes(b"\x7fELF nonsense")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "can't be started" in LocalHost(tmp_path).gpus()["error"]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", None),
        ("  ", None),
        ("none", []),
        ("None", []),
        ("0", [0]),
        ("2, 0", [0, 2]),
        ("0, 2-4", [0, 2, 3, 4]),
        ("255", [255]),
    ],
)
def test_a_choice_is_read(text: str, numbers: list[int] | None) -> None:
    assert parse_choice(text) == numbers


@pytest.mark.parametrize(
    "text",
    ["x", "-1", "0,,1", "0 1", "1,1", "0-2,1", "3-1", "256", "0-999", "0x1", "²"],
)
def test_what_is_no_choice_is_refused(text: str) -> None:
    with pytest.raises(UserError):
        parse_choice(text)


def told(index: int, **changes: Any) -> dict[str, Any]:
    plain = {"index": index, "name": "A100", "uuid": uuid(index), "util_percent": 0.0}
    sizes = {"memory": 40 << 30, "memory_used": 4 << 20, "processes": []}
    return {**plain, **sizes, **changes}


def test_of_the_devices_that_are_there_those_are_taken_that_were_chosen() -> None:
    look = {"devices": [told(0), told(1), told(2)], "error": "", "has_tool": True}
    assert [gpu.index for gpu in chosen("", look)] == [0, 1, 2]
    assert [gpu.index for gpu in chosen("0, 2, 7", look)] == [0, 2]
    assert chosen("none", look) == []
    assert chosen("", {}) == []


def test_without_nvidia_smi_those_are_there_that_were_named() -> None:
    look = {"devices": [], "error": "", "has_tool": False}
    assert [gpu.index for gpu in chosen("0-1", look)] == [0, 1]
    assert chosen("", look) == []
    # One that fails is another matter: nobody knows what is there.
    assert chosen("0-1", {**look, "has_tool": True, "error": "It failed."}) == []


@pytest.mark.parametrize(
    ("processes", "used", "words"),
    [
        ([], 4 << 20, ""),
        ([("anna", 12 * 10**9)], 12 * 10**9, "anna (12 GB)"),
        ([("anna", 4 * 10**9), ("anna", 8 * 10**9)], 12 * 10**9, "anna (12 GB)"),
        (
            [("anna", 2 * 10**9), ("bert", 10**9)],
            3 * 10**9,
            "anna (2.0 GB) and bert (1.0 GB)",
        ),
        ([("anna", None)], None, "anna"),
        ([("", 2 * 10**9)], 2 * 10**9, "somebody (2.0 GB)"),
        # A process of another container is not shown.
        ([], 5 * 10**9, "somebody (5.0 GB)"),
        # It has only looked at the device.
        ([("anna", 8 << 20)], 12 << 20, ""),
        ([], None, ""),
    ],
)
def test_use_is_told_in_words(
    processes: list[tuple[str, int | None]], used: int | None, words: str
) -> None:
    running = [{"pid": "1", "owner": owner, "memory": m} for owner, m in processes]
    gpu = Gpu.from_json(told(0, memory_used=used, processes=running))
    assert gpu.use == words
    assert gpu.is_used == bool(words)
