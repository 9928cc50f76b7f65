"""Keep the portal's processes running: the long life of `manage.py serve`.

`serve` prepares everything with Django and then becomes this program, which needs the
standard library only and so stays small. It is run by its path, with one argument: the
descriptor from which it reads its plan as JSON.

Every process is started in a session of its own, so that Ctrl-C in the terminal reaches
this program alone, and is told by the kernel to end when this program is gone.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

FIRST_DELAY, LONGEST_DELAY = 0.2, 10.0
# A process that lived for so long was well: the next delay is short again.
WELL_AFTER = 30.0
ANSWER_WITHIN = 5.0
# Of the web process, before people are told that it takes long.
GREET_WITHIN = 60.0
PROBE_EVERY = 0.5
KILL_AFTER = 3.0
LOG_LIMIT = 10 * 1024 * 1024
NEVER = float("inf")
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, kw_only=True)
class Program:
    """A process to keep running.

    It is asked a second time to stop after `stop_seconds`, and killed soon after.
    `last` stops after all others, since they use it, and they start once it answers
    at `socket`. `lock` is a file that stays locked while the process lives, whoever
    started it: so there is never a second one.
    """

    name: str
    argv: list[str]
    stop_seconds: float
    lock: str = ""
    socket: str = ""
    last: bool = False
    inherit: list[int] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The programs in the order of their start, and what to say once they answer."""

    state_file: Path
    logs: Path
    address: str
    greeting: str
    probe: tuple[str, int]
    programs: list[Program]

    @classmethod
    def from_json(cls, text: str) -> "Plan":
        raw: dict[str, Any] = json.loads(text)
        return cls(
            state_file=Path(raw["state_file"]),
            logs=Path(raw["logs"]),
            address=raw["address"],
            greeting=raw["greeting"],
            probe=(raw["probe"][0], raw["probe"][1]),
            programs=[Program(**program) for program in raw["programs"]],
        )


class Child:
    """One program, and the process that runs it at present, if any."""

    def __init__(self, program: Program, logs: Path) -> None:
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None
        self._log = logs / f"{program.name}.log"
        self._delay = FIRST_DELAY
        self._started = 0.0
        self._start_at = 0.0
        self._ask_again_at = self._kill_at = NEVER

    def start_if_due(self) -> bool:
        """Start the process if it is time; raises OSError if that fails."""
        if self.process is not None or time.monotonic() < self._start_at:
            return False
        self._started = time.monotonic()
        with _held(self.program.lock) as lock, _open_log(self._log) as log:
            self.process = subprocess.Popen(
                self.program.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[*self.program.inherit, *lock],
                start_new_session=True,
                preexec_fn=_end_with(os.getpid()),
            )
        if self.program.socket:
            _wait_for(self.program.socket, self.process.pid)
        return True

    def has_ended(self, status: int) -> str:
        """Take note of the end; what to say about it."""
        code = os.waitstatus_to_exitcode(status)
        if self.process is not None:
            self.process.returncode = code
            self.process = None
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        return self.plan_restart(f"{self.program.name} ended {how}.")

    def plan_restart(self, what: str) -> str:
        now = time.monotonic()
        if now - self._started >= WELL_AFTER:
            self._delay = FIRST_DELAY
        wait, self._delay = self._delay, min(self._delay * 2, LONGEST_DELAY)
        self._start_at = now + wait
        return f"{what} It is started again in {wait:g} s; {self._log} may say why."

    def stop(self, *, at_once: bool = False) -> None:
        """Begin to stop the process; `press` goes on with it.

        Both by os.kill: Popen would itself collect a process that has just ended, and
        then nobody would hear of its end.
        """
        if self.process is None:
            return
        if self._kill_at == NEVER:
            os.kill(self.process.pid, signal.SIGTERM)
            self._ask_again_at = time.monotonic() + self.program.stop_seconds
            self._kill_at = self._ask_again_at + KILL_AFTER
        if at_once:
            self._kill_at = time.monotonic()

    def press(self) -> None:
        """Insist on the stop if it takes too long."""
        if self.process is None:
            return
        now = time.monotonic()
        if now >= self._kill_at:
            os.kill(self.process.pid, signal.SIGKILL)
            self._kill_at = now + KILL_AFTER
        elif now >= self._ask_again_at:
            os.kill(self.process.pid, signal.SIGTERM)
            self._ask_again_at = NEVER

    def next_time(self, *, stopping: bool) -> float:
        """When there is something to do about this child."""
        if self.process is None:
            return NEVER if stopping else self._start_at
        return min(self._ask_again_at, self._kill_at)


class Supervisor:
    """Starts the children, starts them again, and stops them in the end."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._children = [Child(program, plan.logs) for program in plan.programs]
        self._stopping = False
        self._probe: socket.socket | None = None
        self._probe_at = 0.0
        self._worry_at = time.monotonic() + GREET_WITHIN
        self._greeted = False

    def run(self) -> None:
        signals = _catch_signals()
        while self._take_step():
            self._wait(signals)
        self._plan.state_file.unlink(missing_ok=True)
        say("Stopped. Runs go on and are picked up at the next start.")

    def _take_step(self) -> bool:
        """Do what is due; False when everything has been stopped."""
        if self._stopping:
            return self._stop_some()
        started = [self._start(child) for child in self._children]
        if any(started):
            self._write_state()
        if not self._greeted:
            self._look_for_an_answer()
        return True

    def _start(self, child: Child) -> bool:
        try:
            return child.start_if_due()
        except OSError as error:
            reason = error.strerror or error
            say(child.plan_restart(f"{child.program.name} can't be started: {reason}."))
            return False

    def _look_for_an_answer(self) -> None:
        now = time.monotonic()
        if self._probe is None and now >= self._probe_at:
            self._probe = _send_probe(self._plan)
            self._probe_at = now + PROBE_EVERY
        if now >= self._worry_at:
            self._worry_at = NEVER
            say(
                f"The portal does not answer at {self._plan.address} yet; it is waited"
                f" for. {self._plan.logs / 'web.log'} may say why."
            )

    def _stop_some(self) -> bool:
        alive = [child for child in self._children if child.process is not None]
        users = [child for child in alive if not child.program.last]
        for child in users or alive:
            child.stop()
            child.press()
        return bool(alive)

    def _wait(self, signals: socket.socket) -> None:
        seconds = max(0.0, self._next_time() - time.monotonic())
        sources = [signals, *([self._probe] if self._probe else [])]
        ready, _, _ = select.select(
            sources, [], [], None if seconds == NEVER else seconds
        )
        if signals in ready:
            self._handle_signals(signals.recv(1024))
        if self._probe in ready:
            self._read_probe()

    def _next_time(self) -> float:
        times = [child.next_time(stopping=self._stopping) for child in self._children]
        if not self._greeted and not self._stopping:
            times += [self._worry_at, NEVER if self._probe else self._probe_at]
        return min(times)

    def _handle_signals(self, arrived: bytes) -> None:
        for number in set(arrived):
            if number == signal.SIGCHLD:
                self._reap()
            else:
                self._ask_to_stop()

    def _ask_to_stop(self) -> None:
        """The second time is the impatient one; the store may still save itself."""
        if self._stopping:
            for child in self._children:
                child.stop(at_once=not child.program.last)
        self._stopping = True

    def _reap(self) -> None:
        """Collect every ended process: as process 1 of a container also strangers."""
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                self._note_end(*ended)

    def _note_end(self, pid: int, status: int) -> None:
        for child in self._children:
            if child.process is not None and child.process.pid == pid:
                words = child.has_ended(status)
                if not self._stopping:
                    say(words)

    def _read_probe(self) -> None:
        assert self._probe is not None
        try:
            answered = bool(self._probe.recv(1))
        except OSError:
            answered = False
        self._probe.close()
        self._probe = None
        if answered:
            self._greeted = True
            say(self._plan.greeting)

    def _write_state(self) -> None:
        """Say who we are, for a second `serve` and for people who look."""
        processes = {
            child.program.name: child.process.pid
            for child in self._children
            if child.process is not None
        }
        state = {
            "pid": os.getpid(),
            "address": self._plan.address,
            "processes": processes,
        }
        new = self._plan.state_file.with_suffix(".new")
        new.write_text(json.dumps(state), encoding="utf-8")
        new.replace(self._plan.state_file)


def say(words: str) -> None:
    """Print a line; the terminal may be gone, which is no reason to end."""
    with contextlib.suppress(OSError):
        sys.stdout.write(f"{words}\n")
        sys.stdout.flush()


def _catch_signals() -> socket.socket:
    """A socket from which the numbers of arriving signals are read."""
    reader, writer = socket.socketpair()
    os.set_blocking(writer.fileno(), False)
    signal.set_wakeup_fd(writer.detach())
    wanted = {signal.SIGCHLD, signal.SIGTERM}
    for number in (signal.SIGINT, signal.SIGHUP):
        # What nohup or a shell's & has switched off stays so.
        if signal.getsignal(number) != signal.SIG_IGN:
            wanted.add(number)
    for number in wanted:
        signal.signal(number, lambda *_: None)
    return reader


def _send_probe(plan: Plan) -> socket.socket | None:
    """Ask the web process for a page.

    The listening socket is ours, so this waits in its queue until a process answers.
    """
    host = plan.address.split("/")[2]
    request = f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    try:
        probe = socket.create_connection(plan.probe, timeout=1)
        probe.sendall(request.encode())
    except OSError:
        return None
    return probe


def _end_with(parent: int) -> Callable[[], None] | None:
    """What the new process does first: ask to be ended when its parent is gone."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
        if os.getppid() != parent:
            os._exit(1)

    return prepare


@contextlib.contextmanager
def _held(lock: str) -> Iterator[list[int]]:
    """Lock the file until the block's end; a process that inherits it goes on."""
    if not lock:
        yield []
        return
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(f"the one of an earlier start still holds {lock}") from None
        yield [descriptor]
    finally:
        os.close(descriptor)


def _wait_for(path: str, pid: int) -> None:
    """Wait until the process answers at its socket, has ended, or takes too long."""
    deadline = time.monotonic() + ANSWER_WITHIN
    with socket.socket(socket.AF_UNIX) as client:
        while client.connect_ex(path) and time.monotonic() < deadline:
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                return
            time.sleep(0.01)


def _open_log(log: Path) -> IO[bytes]:
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_name(f"{log.name}.1"))
    return log.open("ab")


def main() -> None:
    with os.fdopen(int(sys.argv[1]), encoding="utf-8") as plan:
        supervisor = Supervisor(Plan.from_json(plan.read()))
    supervisor.run()


if __name__ == "__main__":
    main()
