"""The supervisor by itself, with small programs as its children."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aml_portal import supervisor
from aml_portal.supervisor import (
    FIRST_DELAY,
    LONGEST_DELAY,
    Child,
    Plan,
    Program,
    Supervisor,
)
from tests.waiting import eventually, free_port

SLEEPER = "import time; time.sleep(600)"
DEAF = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True)"


class Supervised:
    """A supervisor in a process of its own."""

    def __init__(self, folder: Path, *programs: Program) -> None:
        self.folder = folder
        plan: dict[str, Any] = {
            "state_file": str(folder / "serve.json"),
            "logs": str(folder),
            "address": "http://127.0.0.1",
            "greeting": "hello",
            "probe": ["127.0.0.1", free_port()],
            "programs": [vars(program) for program in programs],
        }
        reader, writer = os.pipe()
        with os.fdopen(writer, "w") as pipe:
            json.dump(plan, pipe)
        program = [sys.executable, "-I", "-S", supervisor.__file__, str(reader)]
        self.process = subprocess.Popen(
            program, pass_fds=[reader], stdout=subprocess.PIPE, text=True
        )
        os.close(reader)

    def pid(self, name: str) -> int:
        state = self.folder / "serve.json"
        eventually(state.exists, "the supervisor has started its programs")
        pid: int = json.loads(state.read_text())["processes"][name]
        return pid

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def end(self, number: int = signal.SIGTERM) -> str:
        self.process.send_signal(number)
        words, _ = self.process.communicate(timeout=60)
        return words


def _python(name: str, code: str, **more: Any) -> Program:
    return Program(
        name=name, argv=[sys.executable, "-c", code], stop_seconds=0.1, **more
    )


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_program_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    supervised = Supervised(tmp_path, _python("deaf", f"{DEAF}\n{SLEEPER}"))
    pid = supervised.pid("deaf")
    eventually(lambda: "up" in supervised.log("deaf"), "the program is deaf")
    assert "Stopped." in supervised.end()
    assert _is_gone(pid)
    assert not (tmp_path / "serve.json").exists()


def test_the_last_program_outlives_those_that_use_it(tmp_path: Path) -> None:
    noting = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        f"    open({str(tmp_path / 'order')!r}, 'a').write(sys.argv[1])\n"
        "    sys.exit()\n"
        "signal.signal(15, end)\n"
        "print('up', flush=True)\n"
        "time.sleep(600)\n"
    )
    programs = [
        Program(
            name=name,
            argv=[sys.executable, "-c", noting, name],
            stop_seconds=10,
            last=name == "a",
        )
        for name in "ab"
    ]
    supervised = Supervised(tmp_path, *programs)
    supervised.pid("b")
    eventually(lambda: supervised.log("a") and supervised.log("b"), "both are up")
    supervised.end()
    assert (tmp_path / "order").read_text() == "ba"


def test_children_end_with_a_killed_supervisor(tmp_path: Path) -> None:
    supervised = Supervised(tmp_path, _python("sleeper", SLEEPER))
    pid = supervised.pid("sleeper")
    supervised.end(signal.SIGKILL)
    eventually(lambda: _is_gone(pid), "the child has ended")


def test_a_locked_program_waits_for_the_one_of_an_earlier_start(tmp_path: Path) -> None:
    lock = str(tmp_path / "lock")
    deaf = _python("store", f"{DEAF}\n{SLEEPER}", lock=lock)
    earlier = Supervised(tmp_path, deaf)
    pid = earlier.pid("store")
    eventually(lambda: "up" in earlier.log("store"), "the first store is deaf")
    earlier.end(signal.SIGKILL)
    (tmp_path / "serve.json").unlink()
    later = Supervised(tmp_path, deaf)
    assert later.process.stdout is not None
    assert "store can't be started" in later.process.stdout.readline()
    os.kill(pid, signal.SIGKILL)
    assert later.pid("store") != pid
    later.end()


def test_a_program_that_is_missing_is_said_so(tmp_path: Path) -> None:
    missing = Program(name="missing", argv=["/no/such"], stop_seconds=1)
    supervised = Supervised(tmp_path, missing)
    assert supervised.process.stdout is not None
    line = supervised.process.stdout.readline()
    assert line.startswith("missing can't be started: No such file or directory.")
    supervised.end()


def test_what_fails_under_a_lock_is_not_taken_for_the_lock(tmp_path: Path) -> None:
    """A machine that has no room for a new process says so in the same way."""
    with (
        pytest.raises(BlockingIOError, match="no process"),
        supervisor._held(str(tmp_path / "lock")),
    ):
        raise BlockingIOError(errno.EAGAIN, "no process")


def test_a_portal_that_does_not_answer_is_asked_again_and_told_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(supervisor, "GREET_WITHIN", 0)
    monkeypatch.setattr(supervisor, "PROBE_EVERY", 0)
    probe = ("127.0.0.1", free_port())
    plan = Plan(
        state_file=tmp_path / "serve.json",
        logs=tmp_path,
        address="http://127.0.0.1",
        greeting="hello",
        probe=probe,
        programs=[],
    )
    supervising = Supervisor(plan)
    for _ in range(2):
        supervising._take_step()
    words = capsys.readouterr().out
    assert words.count("does not answer at http://127.0.0.1 yet") == 1
    assert str(tmp_path / "web.log") in words
    with socket.create_server(probe) as server:
        supervising._take_step()
        server.accept()[0].sendall(b"x")
        supervising._read_probe()
    assert capsys.readouterr().out == "hello\n"


def test_pauses_between_starts_grow_and_are_short_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = Child(_python("child", "pass"), tmp_path)
    clock = [100.0]
    fake = SimpleNamespace(monotonic=lambda: clock[0])
    monkeypatch.setattr("aml_portal.supervisor.time", fake)
    child._started = clock[0]
    pauses = []
    for _ in range(8):
        child.plan_restart("It ended.")
        pauses.append(child.next_time(stopping=False) - clock[0])
    assert pauses[:3] == pytest.approx([FIRST_DELAY, 2 * FIRST_DELAY, 4 * FIRST_DELAY])
    assert pauses[-1] == pytest.approx(LONGEST_DELAY)
    clock[0] += supervisor.WELL_AFTER
    child.plan_restart("It ended.")
    assert child.next_time(stopping=False) - clock[0] == pytest.approx(FIRST_DELAY)


def test_a_large_log_makes_room(tmp_path: Path) -> None:
    (tmp_path / "loud.log").write_bytes(b"x" * (supervisor.LOG_LIMIT + 1))
    supervised = Supervised(
        tmp_path, _python("loud", f"print('new', flush=True);{SLEEPER}")
    )
    supervised.pid("loud")
    eventually(lambda: supervised.log("loud") == "new\n", "the log begins anew")
    assert (tmp_path / "loud.log.1").stat().st_size > supervisor.LOG_LIMIT
    supervised.end()


def test_the_others_start_once_the_first_answers(tmp_path: Path) -> None:
    path, noted = tmp_path / "socket", tmp_path / "noted"
    answer = (
        "import socket, time\n"
        "time.sleep(0.3)\n"
        "s = socket.socket(socket.AF_UNIX)\n"
        f"s.bind({str(path)!r})\n"
        "s.listen()\n"
    )
    look = (
        "import pathlib\n"
        f"is_there = pathlib.Path({str(path)!r}).exists()\n"
        f"pathlib.Path({str(noted)!r}).write_text(str(is_there))\n"
    )
    supervised = Supervised(
        tmp_path,
        _python("store", f"{answer}{SLEEPER}", socket=str(path)),
        _python("user", f"{look}\n{SLEEPER}"),
    )
    eventually(lambda: noted.exists() and noted.read_text(), "the user has looked")
    supervised.end()
    assert noted.read_text() == "True"


def test_a_process_that_ends_just_before_it_is_stopped_is_heard_of(
    tmp_path: Path,
) -> None:
    child = Child(_python("short", "pass"), tmp_path)
    child.start_if_due()
    assert child.process
    pid = child.process.pid
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    child.stop()
    child.stop(at_once=True)
    child.press()
    assert os.waitpid(pid, os.WNOHANG)[0] == pid
    child.process.returncode = 0
