"""Runs one job on the machine that owns it, and tells the portal about it.

The one file that is shipped to compute targets: standard library only, Python 3.8 or
newer. A job is a folder:

    job.json             what to run, written by the portal
    secrets.json         what of that nobody else may see; gone once it is read
    work/                the working folder of the script
    logs/std_log.txt     all that the script printed, byte for byte
    events.jsonl         what happened, a JSON object a line
    resources.jsonl      what the processes used, a sample a line
    runner.json          who supervises: pid, start time, boot; and the script's
    cancel.json          a request to end the job
    exit.json            the last word, written last and whole
    reserve              room for that, should the script fill the disk

`start` leaves a supervisor behind, detached from whoever called it, that needs nothing
of the portal any more. `supervise` is the same and does not return before the job has
ended, for those who start it in a container or on another machine that shares the
folder: a job with "apart" in its job.json, of whose processes nothing can be seen from
here, so that the lock tells whether its supervisor lives. `follow` sends what grows in
any number of job folders. Every verb may be called at any time, by any process, again
and again.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import fcntl
import functools
import hashlib
import json
import os
import select
import shutil
import signal
import stat
import sys
import time
from functools import lru_cache
from typing import (
    TYPE_CHECKING,
    Any,
    BinaryIO,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Optional,
    Sequence,
    Set,
    Tuple,
)

if TYPE_CHECKING:
    import subprocess
    import threading

Json = Dict[str, Any]
# The parent, the session and the start time of a process.
Process = Tuple[int, int, int]
# The size of a file, and when it was changed.
Version = Tuple[int, int]

LOG = "logs/std_log.txt"
EVENTS = "events.jsonl"
RESOURCES = "resources.jsonl"
SECRETS = "secrets.json"
STREAMS = (LOG, EVENTS, RESOURCES)
DEFAULT_GRACE = 30.0
LONGEST_WAIT = 10 * 365 * 86400.0
# In bytes; more than thousands of processes take in a receipt.
LARGEST_JSON = 1 << 24
# In seconds; so long may the last words of a script take to be masked and written.
LAST_WORDS = 30.0
# What a last word takes, but for one that tells of thousands of processes.
RESERVE = 1 << 16
# What a file can't be opened with in whose place a script has put something else.
SPOILT = (errno.ELOOP, errno.EISDIR, errno.EACCES)
# In the environment of every process of a job, to know them by once the supervisor is
# gone and they are nobody's children: the portal, the job, and what nobody can guess.
MARK = "AML_JOB_MARK"


# Files
#
# A script can put anything in the place of the runner's files: what never ends, or a
# link. It may be in a container, and the runner that reads and writes them outside of
# it, where a link leads to what is none of the script's business. So none is followed.


def open_below(folder: str, name: str, flags: int) -> int:
    """Open a file below `folder`, through no link, and without waiting for who might
    write into a FIFO."""
    *parents, last = name.split("/")
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    here = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for parent in parents:
            way = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            below = os.open(parent, way, dir_fd=here)
            os.close(here)
            here = below
        return os.open(last, flags, 0o600, dir_fd=here)
    finally:
        os.close(here)


def write_json(path: str, value: Json) -> None:
    """Write `path` so that it is there whole or not at all, also after a power cut."""
    # Nobody can have put a link there.
    temporary = "%s.%s" % (path, os.urandom(8).hex())
    try:
        with open(temporary, "xb", opener=_open_private) as file:
            file.write(json.dumps(value).encode())
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def read_json(path: str) -> Optional[Json]:
    """The object in a JSON file; None if there is none."""
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            value = json.loads(file.read(LARGEST_JSON))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def seconds_in(value: Any) -> Optional[float]:
    """A number of seconds that can be waited for; None for anything else."""
    is_number = isinstance(value, (int, float)) and 0 <= value <= LONGEST_WAIT
    return value if is_number else None


def digest(folder: str, name: str) -> Json:
    """The number of bytes of a file below `folder`, and their SHA-256."""
    sha256, size = hashlib.sha256(), 0
    with contextlib.suppress(OSError):
        descriptor = open_below(folder, name, os.O_RDONLY)
        with open(descriptor, "rb") as file:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                for block in iter(lambda: file.read(1 << 20), b""):
                    sha256.update(block)
                    size += len(block)
    return {"bytes": size, "sha256": sha256.hexdigest()}


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting for who might write into a FIFO, and no link."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)


@lru_cache(maxsize=1024)
def _is_apart(path: str, version: Tuple[int, int, int]) -> bool:
    """What job.json says of its job; it may be large, and this is asked for often."""
    return bool((read_json(path) or {}).get("apart"))


class Job:
    """The folder of a job, and its files."""

    def __init__(self, folder: str) -> None:
        self.folder = os.path.abspath(folder)

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def read(self, name: str) -> Optional[Json]:
        return read_json(self.path(name))

    def write(self, name: str, value: Json) -> None:
        write_json(self.path(name), value)

    def exists(self, name: str = "") -> bool:
        return os.path.lexists(self.path(name))

    def unlock(self) -> None:
        """Let the runner in again, should the script have locked the folder."""
        if not os.access(self.folder, os.R_OK | os.W_OK | os.X_OK):
            with contextlib.suppress(OSError):
                os.chmod(self.folder, 0o700)

    def event(self, event: str, **facts: Any) -> None:
        """Add a line to the events; on a full disk the line is lost, not the job."""
        line = json.dumps(dict({"time": time.time(), "event": event}, **facts)) + "\n"
        append_line(self.path(EVENTS), line)

    def last_word(self) -> Optional[Json]:
        """What exit.json says, once the supervisor is through with it.

        As long as that one lives, the file is not its own: the script wrote it. So it
        is read after the supervisor was seen to be gone, and not before.
        """
        if self.is_supervised():
            return None
        return self.read("exit.json")

    def is_supervised(self) -> bool:
        """Whether the supervisor lives."""
        who = self.who()
        if not who["apart"]:
            return lives(who)
        with contextlib.suppress(OSError), self.lock() as lock:
            return lock is None
        return True

    def who(self) -> Json:
        """Who supervises, as runner.json has it, and whether that is apart.

        The script can write that file as well. Were it believed of a container, it
        could have processes of this machine ended: so job.json says which ones are
        apart, and a container sees that one read-only.
        """
        apart = False
        with contextlib.suppress(OSError):
            facts = os.lstat(self.path("job.json"))
            version = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
            apart = _is_apart(self.path("job.json"), version)
        return dict(self.read("runner.json") or {}, apart=apart)

    @contextlib.contextmanager
    def lock(self) -> Iterator[Optional[int]]:
        """Hold the lock of the supervisor; yields its descriptor, None if held."""
        descriptor = self._open_lock()
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield None
            else:
                yield descriptor
        finally:
            os.close(descriptor)

    def _open_lock(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        path = self.path("runner.lock")
        try:
            return os.open(path, flags, 0o600)
        except OSError as error:
            if error.errno not in SPOILT:
                raise
        # What can never be held would have the job live for ever.
        os.rename(path, "%s.%s" % (path, os.urandom(8).hex()))
        return os.open(path, flags, 0o600)

    def reserve(self) -> None:
        """Keep room for exit.json, should the script fill the disk.

        Of random bytes: some file systems need no room for zeros.
        """
        with open(self.path("reserve"), "wb", opener=_open_private) as file:
            file.write(os.urandom(RESERVE))

    def forget_secrets(self) -> None:
        """Also what somebody was about to write who was killed."""
        with contextlib.suppress(OSError):
            for name in os.listdir(self.folder):
                if name.startswith(SECRETS):
                    with contextlib.suppress(OSError):
                        os.unlink(self.path(name))

    def finish(self, reason: str, **facts: Any) -> None:
        """Write exit.json, however long the disk is full."""
        self.forget_secrets()
        record = {
            "reason": reason,
            "exit_code": None,
            "signal": None,
            "detail": "",
            "started": None,
            "ended": time.time(),
            "log": digest(self.folder, LOG),
            "receipt": None,
        }
        record.update(facts)
        while True:
            try:
                return self.write("exit.json", record)
            except FileNotFoundError:
                return None
            except IsADirectoryError as error:
                # Moved aside, since what is in it may be so that it can't be removed.
                aside = "exit.json.%s" % os.urandom(8).hex()
                with contextlib.suppress(OSError):
                    os.rename(error.filename2 or error.filename, self.path(aside))
                time.sleep(0.1)
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(self.path("reserve"))
                    continue
                time.sleep(1)


def append_line(path: str, line: str) -> None:
    """Append a line in one write; half a line, on a full disk, is taken back."""
    with contextlib.suppress(OSError):
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o600)
        try:
            data = line.encode()
            size = os.fstat(descriptor).st_size
            try:
                whole = os.write(descriptor, data) == len(data)
            except OSError:
                whole = False
            if not whole:
                os.ftruncate(descriptor, size)
        finally:
            os.close(descriptor)


# Processes


def boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError:
        return ""


def stat_fields(pid: int) -> Optional[List[bytes]]:
    """The fields of /proc/PID/stat after the name; None if there is no process."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return None


def start_time(pid: int) -> Optional[int]:
    """When the process began, in ticks since the boot; None if it has ended."""
    fields = stat_fields(pid)
    return None if not fields or fields[0] in b"ZX" else int(fields[19])


def identity(pid: int) -> Json:
    return {"pid": pid, "start_time": start_time(pid), "boot_id": boot_id()}


def lives(who: Optional[Json]) -> bool:
    """Whether it is this very process that runs, and not a later one of its number."""
    if not isinstance(who, dict) or who.get("boot_id") != boot_id():
        return False
    pid, began = who.get("pid"), who.get("start_time")
    if not (isinstance(pid, int) and isinstance(began, int)):
        return False
    return start_time(pid) == began


def name_of(pid: int) -> str:
    """The program and its script, without arguments, which may hold secrets."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            words = file.read().decode(errors="replace").split("\0")
        with open("/proc/%d/comm" % pid, "rb") as file:
            fallback = file.read().decode(errors="replace").strip()
    except OSError:
        return ""
    shown = words[:1]
    if len(words) > 1 and not words[1].startswith("-") and "=" not in words[1]:
        shown.append(words[1])
    return (" ".join(shown).strip() or fallback)[:200]


def all_processes() -> Dict[int, Process]:
    """pid → (parent, session, start time) of every process that has not ended."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = stat_fields(int(name))
            if fields and fields[0] not in b"ZX":
                found[int(name)] = (int(fields[1]), int(fields[3]), int(fields[19]))
    return found


def descendants(roots: Iterable[int], processes: Dict[int, Process]) -> Dict[int, int]:
    """pid → start time of all below `roots`, which are not among them."""
    children: Dict[int, List[int]] = {}
    for pid, (parent, _, _) in processes.items():
        children.setdefault(parent, []).append(pid)
    found: Dict[int, int] = {}
    pending = list(roots)
    while pending:
        for pid in children.get(pending.pop(), ()):
            if pid not in found:
                found[pid] = processes[pid][2]
                pending.append(pid)
    return found


def below(root: int) -> Dict[int, Process]:
    """As `all_processes`, of those below `root` alone, however many others there are.

    One that forks at this moment may be missed: good enough for a sample. Where the
    kernel does not tell the children of a process, it is about all processes.
    """
    if not os.path.exists("/proc/%d/task/%d/children" % (root, root)):
        return all_processes()
    found = {}
    pending = [root]
    while pending:
        for pid in _children(pending.pop()):
            fields = stat_fields(pid)
            if fields and fields[0] not in b"ZX" and pid not in found:
                found[pid] = (int(fields[1]), int(fields[3]), int(fields[19]))
                pending.append(pid)
    return found


def _children(pid: int) -> Iterator[int]:
    """The children of each thread of a process."""
    threads: List[str] = []
    with contextlib.suppress(OSError):
        threads = os.listdir("/proc/%d/task" % pid)
    for thread in threads:
        path = "/proc/%d/task/%s/children" % (pid, thread)
        with contextlib.suppress(OSError), open(path, "rb") as file:
            for child in file.read().split():
                yield int(child)


def of_script(supervisor: int, processes: Dict[int, Process]) -> Dict[int, int]:
    """pid → start time of all below the supervisor that the script brought about.

    The script leads a session of its own, so none of its offspring can be in that of
    the supervisor, which is where nvidia-smi is.
    """
    own = os.getsid(supervisor)
    found = descendants([supervisor], processes)
    return {pid: began for pid, began in found.items() if processes[pid][1] != own}


def send_signal(pid: int, began: int, number: signal.Signals) -> bool:
    """Signal the process, unless its number now belongs to another; whether sent."""
    try:
        descriptor = os.pidfd_open(pid)
    except (AttributeError, OSError):
        # Gone, or an older Python or Linux: then there is a moment between the check
        # and the signal in which the number could change hands.
        return _send_to_number(pid, began, number)
    try:
        if start_time(pid) != began:
            return False
        signal.pidfd_send_signal(descriptor, number)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _send_to_number(pid: int, began: int, number: signal.Signals) -> bool:
    try:
        if start_time(pid) != began:
            return False
        os.kill(pid, number)
    except OSError:
        return False
    return True


def become_reaper() -> None:
    """Have orphaned descendants become children of this process, not of init."""
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


class Ending:
    """Ends a tree of processes and writes down what it took."""

    def __init__(self, grace: float) -> None:
        self.asked = time.time()
        self.grace = grace
        self.deadline = time.monotonic() + grace
        self.processes: Dict[Tuple[int, int], Json] = {}

    def step(self, living: Dict[int, int]) -> None:
        """Signal what is due to the living, a dict of pid → start time."""
        out_of_patience = time.monotonic() >= self.deadline
        for key in self.processes:
            if self.processes[key]["ended"] is None and living.get(key[0]) != key[1]:
                self.processes[key]["ended"] = time.time()
        if out_of_patience:
            # Stopped first, so that none can fork while the others are killed.
            for pid, began in living.items():
                send_signal(pid, began, signal.SIGSTOP)
        number = signal.SIGKILL if out_of_patience else signal.SIGTERM
        for pid, began in living.items():
            self._signal(pid, began, number)

    def _signal(self, pid: int, began: int, number: signal.Signals) -> None:
        entry = self.processes.get((pid, began))
        if entry is None:
            name = name_of(pid)
            entry = {"pid": pid, "name": name, "signals": [], "ended": None}
            self.processes[pid, began] = entry
        told = [each["signal"] for each in entry["signals"]]
        if number.name not in told and send_signal(pid, began, number):
            entry["signals"].append({"signal": number.name, "time": time.time()})
            if number == signal.SIGTERM:
                # A process that somebody stopped would never see it.
                send_signal(pid, began, signal.SIGCONT)

    def receipt(self, left: int) -> Json:
        for entry in self.processes.values():
            entry["ended"] = entry["ended"] or time.time()
        return {
            "asked": self.asked,
            "grace_seconds": self.grace,
            "processes": list(self.processes.values()),
            "left": left,
        }


# The supervisor


class Supervisor:
    """Starts the script, waits for the end of it and of all that it left behind."""

    def __init__(self, job: Job, spec: Json) -> None:
        self.job = job
        self.spec = spec
        self.who: Json = {}
        self.child = 0
        # The process that masks what that prints, if it knows secrets.
        self.masker = 0
        # The variables of the script that are secrets, and what the build is given.
        self.secrets: Json = {}
        self.of_build: Json = {}
        self.status: Optional[int] = None
        # What the environment is held by.
        self.environment: Optional[int] = None
        self.started = 0.0
        self.begun = 0.0
        self.ending: Optional[Ending] = None
        self.reason = "exited"
        self.samples = Samples(job, os.getpid(), spec["env"])
        self.told = False
        self.canceled = False
        self.woken, wake = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(self.woken, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_told)
        signal.signal(signal.SIGUSR1, self._on_cancel)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def _on_told(self, *_: object) -> None:
        self.told = True

    def _on_cancel(self, *_: object) -> None:
        self.canceled = True

    def announce(self) -> None:
        """Say who supervises; from then on nobody else ever starts the script.

        The secrets are read before that: then whoever gives some takes them away.
        """
        given = self.job.read(SECRETS) or {}
        self.secrets = given.get("env") or {}
        self.of_build = given.get("build") or {}
        portal, name = self.spec.get("portal", ""), os.path.basename(self.job.folder)
        mark = "%s:%s:%s" % (portal, name, os.urandom(16).hex())
        self.who = dict(identity(os.getpid()), mark=mark)
        self.who["apart"] = bool(self.spec.get("apart"))
        self.job.reserve()
        self.job.write("runner.json", self.who)
        self.job.forget_secrets()

    def run(self) -> None:
        job = self.job
        become_reaper()
        job.event("supervising", pid=os.getpid())
        if job.exists("cancel.json"):
            request = job.read("cancel.json") or {}
            job.finish("canceled_before_start", detail=request.get("reason", ""))
            return
        if not self._prepare():
            return
        self.of_build = {}
        try:
            self.child = self._spawn_script()
        except OSError as error:
            detail = self._why_not_started(error)
            job.event("start_failed", detail=detail)
            job.finish("start_failed", exit_code=127, detail=detail)
            return
        self.started = time.time()
        with contextlib.suppress(OSError):
            job.write("runner.json", dict(self.who, child=identity(self.child)))
        job.event("started", pid=self.child, argv=self.spec["argv"][:2])
        self.begun = time.monotonic()
        self._finish(self._supervise())

    def _prepare(self) -> bool:
        """See to the environment that the script needs; False if the job is over."""
        if not self.spec.get("prepare"):
            return True
        package = see_siblings()
        from environment import Environment  # type: ignore[import-not-found]

        environment = Environment.of(self.job)
        # Held as long as this process lives, so that nobody removes it.
        self.environment = environment.hold()
        if self.environment is not None:
            environment.note_use(functools.partial(self.job.event, "environment"))
        while self.environment is None:
            if not self._build(package):
                return False
            self.environment = environment.hold()
        self.spec = dict(self.spec, env={**environment.variables, **self.spec["env"]})
        log_bytes = 0
        with contextlib.suppress(FileNotFoundError):
            log_bytes = os.stat(self.job.path(LOG)).st_size
        self.job.event("prepared", log_bytes=log_bytes)
        return True

    def _build(self, package: str) -> bool:
        """Have the environment built, or wait for who does; False if the job is over.

        A process of the job does it, under the same limits, and writes into its log.
        The script never has what that is given. Nor has it the variables of the
        script: others get what is built, and uv would listen to them.
        """
        command = [sys.executable, "-I", "-S", package, "prepare", self.job.folder]
        given, hidden = self.of_build or None, self.of_build.get("hidden", ())
        self.child = self._spawn(command, self.job.folder, given=given, hidden=hidden)
        self.begun = time.monotonic()
        status = self._supervise()
        if self.reason != "exited":
            self._finish(status)
            return False
        if status:
            answer = self.job.read("prepared.json") or {}
            detail = answer.get("error") or "The environment could not be made."
            self.job.finish("prepare_failed", detail=detail, **how_ended(status))
            return False
        self.status, self.ending = None, None
        return True

    def _why_not_started(self, error: OSError) -> str:
        if not os.path.isdir(self.job.path(self.spec["cwd"])):
            return "The working folder of the job is missing."
        return "%s can't be started: %s." % (self.spec["argv"][0], error.strerror)

    def _spawn_script(self) -> int:
        """Those variables that are secrets it has in its environment, and nowhere else.

        Or on its standard input, if it only passes them on.
        """
        spec, secrets = self.spec, self.secrets
        if not set(spec.get("secrets", ())) <= set(secrets):
            raise SecretsGone
        env, given = dict(spec["env"], **secrets), None
        if spec.get("passes_secrets_on") and secrets:
            env, given = spec["env"], {"env": secrets}
        return self._spawn(
            spec["argv"], spec["cwd"], env=env, given=given, hidden=[*secrets.values()]
        )

    def _spawn(
        self,
        argv: List[str],
        cwd: str,
        *,
        env: Optional[Json] = None,
        given: Optional[Json] = None,
        hidden: Sequence[str] = (),
    ) -> int:
        """Fork and execute a program; raises the OSError of what failed.

        It can read `given` from its standard input. Of what it prints, `hidden` is
        masked; without any, it has the log itself.
        """
        spec, job = self.spec, self.job
        for name in spec.get("collect", ()):
            with contextlib.suppress(OSError):
                os.makedirs(os.path.join(job.path(spec["cwd"]), name))
        surroundings = dict(os.environ, PYTHONUNBUFFERED="1")
        surroundings.update(env or {})
        surroundings[MARK] = self.who["mark"]
        log = os.open(
            job.path(LOG), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
        if hidden:
            log = self._mask(log, hidden)
        source = _readable(given, job.folder)
        said, say = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                self._become(argv, cwd, source, log, surroundings)
            except BaseException as error:
                os.write(say, b"%d" % (getattr(error, "errno", None) or 22))
            os._exit(127)
        for descriptor in (say, log, source):
            os.close(descriptor)
        trouble = os.read(said, 16)
        os.close(said)
        if trouble:
            os.waitpid(pid, 0)
            raise OSError(int(trouble), os.strerror(int(trouble)))
        return pid

    def _mask(self, log: int, hidden: Sequence[str]) -> int:
        """Have a process write the log, masked; where to write for that."""
        see_siblings()
        from masking import leave_masker  # type: ignore[import-not-found]

        end: int
        self.masker, end = leave_masker(log, hidden)
        os.close(log)
        return end

    def _become(
        self, argv: List[str], cwd: str, source: int, log: int, env: Dict[str, str]
    ) -> None:
        os.setsid()
        os.dup2(source, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.chdir(self.job.path(cwd))
        signal.set_wakeup_fd(-1)
        for number in range(1, signal.NSIG):
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_DFL)
        os.execvpe(argv[0], argv, env)

    def _supervise(self) -> int:
        """Wait until nothing of the job is left; the status of the script."""
        limit = self.spec.get("max_duration_seconds")
        while True:
            self._sleep(0.02 if self.ending else self._idle_seconds(limit))
            self._reap()
            self.samples.take_if_due()
            if self.ending is None:
                self._end_if_due(limit)
            if self.ending is None and self.status is None:
                continue
            living = self._living()
            if self.status is not None and not living:
                self._await_masker()
                return self.status
            ending = self.ending or self._end("exited")
            ending.step(living)

    def _await_masker(self) -> None:
        """Until all is in the log: nobody prints any more."""
        deadline = time.monotonic() + LAST_WORDS
        while self.masker and time.monotonic() < deadline:
            self._sleep(0.1)
            self._reap()

    def _idle_seconds(self, limit: Optional[float]) -> float:
        """Until the next sample or the limit; a request to cancel comes by signal.

        Never longer than a second, should that signal be lost.
        """
        now = time.monotonic()
        waits = [1.0, self.samples.due - now]
        if limit is not None:
            waits.append(self.begun + limit - now)
        return max(min(waits), 0.01)

    def _sleep(self, seconds: float) -> None:
        ready, _, _ = select.select([self.woken], [], [], seconds)
        if ready:
            os.read(self.woken, 4096)

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.masker:
                self.masker = 0
                continue
            self.samples.count_ended(pid, usage.ru_utime + usage.ru_stime)
            if pid == self.child:
                self.status = status
                if self.started:
                    self.job.event("exited", **how_ended(status))

    def _end_if_due(self, limit: Optional[float]) -> None:
        if self.told:
            self._end("host_signal")
        elif self.canceled or self.job.exists("cancel.json"):
            request = self.job.read("cancel.json") or {}
            self._end("canceled", seconds_in(request.get("grace_seconds")))
        elif limit is not None and time.monotonic() - self.begun > limit:
            self._end("max_duration")
        elif self._is_idle():
            self._end("idle")

    def _is_idle(self) -> bool:
        limit = seconds_in(self.spec.get("idle_limit_seconds"))
        return limit is not None and self.samples.idle_seconds() > limit

    def _end(self, reason: str, grace: Optional[float] = None) -> Ending:
        if grace is None:
            grace = self.spec["grace_seconds"]
        if self.status is None:
            self.reason = reason
        self.job.event("ending", reason=reason, grace_seconds=grace)
        self.ending = Ending(grace)
        return self.ending

    def _living(self) -> Dict[int, int]:
        return of_script(os.getpid(), all_processes())

    def _finish(self, status: int) -> None:
        # All that is left below is nvidia-smi.
        for pid, began in descendants([os.getpid()], all_processes()).items():
            send_signal(pid, began, signal.SIGKILL)
        facts = how_ended(status)
        if self.ending:
            self.ending.step({})
            facts["receipt"] = self._masked(
                self.ending.receipt(left=len(self._living()))
            )
        reason = self.reason
        if reason == "exited" and facts["signal"]:
            reason = "signaled"
        if reason == "idle":
            facts["idle_seconds"] = self.spec["idle_limit_seconds"]
        self.job.finish(reason, started=self.started or None, **facts)

    def _masked(self, receipt: Json) -> Json:
        """Without secrets that a script has given to a program as its argument."""
        if self.secrets:
            from masking import cover

            for process in receipt["processes"]:
                process["name"] = cover(process["name"], self.secrets.values())
        return receipt


class SecretsGone(OSError):
    strerror = "its secrets are not here any more"


def see_siblings() -> str:
    """The folder of this file, where Python looks for the others from now on.

    If it was given just this file, it does not.
    """
    package = os.path.dirname(os.path.abspath(__file__))
    if package not in sys.path:
        sys.path.insert(0, package)
    return package


def _readable(given: Optional[Json], folder: str) -> int:
    """A descriptor to read something from that is in no folder."""
    if given is None:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        descriptor = os.memfd_create(SECRETS)
    except (AttributeError, OSError):
        # An older Linux or C library has it in a file for a moment.
        path = os.path.join(folder, "%s.%s" % (SECRETS, os.urandom(8).hex()))
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        os.unlink(path)
    with open(descriptor, "wb", closefd=False) as file:
        file.write(json.dumps(given).encode())
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def how_ended(status: int) -> Json:
    if os.WIFSIGNALED(status):
        return {"exit_code": None, "signal": os.WTERMSIG(status)}
    return {"exit_code": os.WEXITSTATUS(status), "signal": None}


# Samples of what the processes use


class Samples:
    """Writes resources.jsonl: often in the first minute, rarely in long runs.

    And knows since when the job is idle: it prints nothing, and uses hardly any of a
    processor and none of the GPUs that `env` lets it see.
    """

    BUSY_PERCENT = 1.0

    def __init__(self, job: Job, supervisor: int, env: Json) -> None:
        self.path = job.path(RESOURCES)
        self.log = job.path(LOG)
        self.log_size = 0
        self.visible_gpus: Optional[str] = env.get("CUDA_VISIBLE_DEVICES")
        self.supervisor = supervisor
        self.begun = time.monotonic()
        self.due = self.begun + 0.2
        self.busy_at = self.begun
        # CPU seconds used up to the last sample, and when that was taken.
        self.last: Optional[Tuple[float, float]] = None
        # CPU seconds of what has ended, which no process that lives accounts for.
        self.ended = 0.0
        self.ticks = os.sysconf("SC_CLK_TCK")
        self.page = os.sysconf("SC_PAGE_SIZE")
        self.gpus = GpuReader()

    def count_ended(self, pid: int, seconds: float) -> None:
        """Take the CPU time of a process that has ended, and of its children."""
        if pid != self.gpus.pid:
            self.ended += seconds

    def take_if_due(self) -> None:
        now = time.monotonic()
        if now < self.due:
            return
        age = now - self.begun
        self.due = now + (1 if age < 60 else 5 if age < 3600 else 15)
        sample = self._sample(now)
        if self.gpus.program:
            sample["gpus"] = self.gpus.latest
            self.gpus.ask()
        if self._is_busy(sample):
            self.busy_at = now
        append_line(self.path, json.dumps(sample) + "\n")

    def idle_seconds(self) -> float:
        return time.monotonic() - self.busy_at

    def _is_busy(self, sample: Json) -> bool:
        before = self.log_size
        with contextlib.suppress(OSError):
            self.log_size = os.stat(self.log).st_size
        return (
            self.log_size != before
            or sample["cpu_percent"] >= self.BUSY_PERCENT
            or any(self._is_busy_gpu(gpu) for gpu in sample.get("gpus", ()))
        )

    def _is_busy_gpu(self, gpu: Json) -> bool:
        visible = self.visible_gpus
        is_seen = visible is None or str(gpu["index"]) in visible.split(",")
        return is_seen and bool(gpu["util_percent"])

    def _sample(self, now: float) -> Json:
        memory, count, ticks = 0, 0, 0
        for pid in of_script(self.supervisor, below(self.supervisor)):
            fields = stat_fields(pid)
            if fields:
                count += 1
                memory += int(fields[21]) * self.page
                # Its own, and that of the children that it has waited for.
                ticks += sum(int(field) for field in fields[11:15])
        used = self.ended + ticks / self.ticks
        percent = 0.0
        if self.last:
            before, then = self.last
            percent = 100.0 * (used - before) / max(now - then, 0.001)
        self.last = (used, now)
        return {
            "time": time.time(),
            "cpu_percent": round(max(percent, 0.0), 1),
            "memory_bytes": memory,
            "processes": count,
        }


class GpuReader:
    """Asks nvidia-smi, if there is one, in a thread that nobody waits for."""

    FIELDS = ("index", "name", "utilization.gpu", "memory.used", "memory.total")
    PATIENCE = 10.0
    LONGEST_ANSWER = 1 << 16

    def __init__(self) -> None:
        self.program = shutil.which("nvidia-smi") or ""
        self.latest: List[Json] = []
        # The process that was asked last.
        self.pid = 0
        self._asked = 0.0
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._thread: Optional[threading.Thread] = None

    def ask(self) -> None:
        """Ask again, unless the last question is still open."""
        import threading

        if self._thread and self._thread.is_alive():
            if self._process and time.monotonic() - self._asked > self.PATIENCE:
                self._process.kill()
            return
        self._asked = time.monotonic()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def _ask(self) -> None:
        import subprocess

        command = [
            self.program,
            "--query-gpu=" + ",".join(self.FIELDS),
            "--format=csv,noheader,nounits",
        ]
        with contextlib.suppress(OSError, ValueError):
            with subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            ) as process:
                self._process, self.pid = process, process.pid
                assert process.stdout
                answer = process.stdout.read(self.LONGEST_ANSWER)
                process.kill()
            lines = answer.decode().splitlines()
            self.latest = [self._gpu(line) for line in lines if line.strip()]

    @staticmethod
    def _gpu(line: str) -> Json:
        index, name, util, used, total = [part.strip() for part in line.split(",")]
        return {
            "index": int(index),
            "name": name,
            "util_percent": float(util) if util.replace(".", "").isdigit() else None,
            "memory_used_bytes": int(used) << 20 if used.isdigit() else None,
            "memory_total_bytes": int(total) << 20 if total.isdigit() else None,
        }


# The verbs


class Refused(Exception):
    """What was asked for can't be done; the message is for a person."""


def start(job: Job) -> Json:
    """Have the job supervised, once ever; its handle, when it is on the disk."""
    if not _was_begun(job):
        spec = job.read("job.json")
        if spec is None:
            raise Refused("There is no job.json in %s." % job.folder)
        with contextlib.suppress(FileExistsError):
            os.mkdir(job.path("logs"), 0o700)
        with job.lock() as lock:
            if lock is not None and not _was_begun(job):
                _leave_supervisor(job, spec)
            deadline = time.monotonic() + 30
            while not _was_begun(job):
                if time.monotonic() > deadline:
                    raise Refused("The supervisor did not come up.")
                time.sleep(0.002)
    return job.read("runner.json") or {}


def supervise(job: Job) -> Json:
    """Supervise the job from its start to its end, once ever; how it ended."""
    spec = job.read("job.json")
    if spec is None:
        raise Refused("There is no job.json in %s." % job.folder)
    with contextlib.suppress(FileExistsError):
        os.mkdir(job.path("logs"), 0o700)
    with job.lock() as lock:
        if lock is not None and not _was_begun(job):
            supervisor = Supervisor(job, spec)
            supervisor.announce()
            supervisor.run()
    return job.read("exit.json") or {}


def give_secrets(job: Job, secrets: Json) -> Json:
    """Leave secrets for the supervisor, which reads them as the first thing.

    A job that was begun gets none: nobody would take them away. Of one that begins at
    this moment, that is seen after the file is there, or else it removes that.
    """
    if not _was_begun(job):
        try:
            job.write(SECRETS, secrets)
        except FileNotFoundError:
            # The supervisor has removed what was not quite written.
            if not _was_begun(job):
                raise
    if _was_begun(job):
        job.forget_secrets()
    return {}


def _was_begun(job: Job) -> bool:
    return job.exists("runner.json") or job.exists("exit.json")


def _leave_supervisor(job: Job, spec: Json) -> None:
    """Leave a supervisor behind; it keeps the lock, whose descriptor it inherits."""
    said, say = os.pipe()

    def supervise() -> None:
        try:
            supervisor = Supervisor(job, spec)
            supervisor.announce()
        except OSError as error:
            os.write(say, str(error.strerror).encode())
            return
        os.close(say)
        supervisor.run()

    _in_background(job, supervise)
    os.close(say)
    with open(said, "rb") as file:
        trouble = file.read().decode()
    if trouble:
        raise Refused("The job folder can't be written to: %s." % trouble)


def _in_background(job: Job, work: Callable[[], object]) -> None:
    """Do `work` in a process of its own, which outlives this one."""
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return
    try:
        os.setsid()
        if os.fork() == 0:
            _drop_streams(job)
            work()
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    os._exit(0)


def _drop_streams(job: Job) -> None:
    """Leave the caller's standard streams, and write trouble down instead."""
    trouble = null = os.open(os.devnull, os.O_RDWR)
    with contextlib.suppress(OSError):
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        trouble = open_below(job.folder, "runner.log", flags)
    for descriptor, copy in ((null, 0), (null, 1), (trouble, 2)):
        os.dup2(descriptor, copy)


def cancel(job: Job, grace: Optional[float], reason: str) -> Json:
    """End the job, or see to it that it never starts; soon, without waiting."""
    job.unlock()
    if job.last_word() is not None:
        return {}
    # The folder of a job that was never staged, too.
    with contextlib.suppress(FileExistsError):
        os.makedirs(job.path("logs"), mode=0o700)
    with job.lock() as lock:
        if lock is None:
            _ask_supervisor(job, grace, reason)
        elif not job.exists("runner.json"):
            job.finish("canceled_before_start", detail=reason)
        else:
            # Handed over with the lock.
            _in_background(job, lambda: _settle(job, grace, "canceled"))
    return {}


def prevent(job: Job, word: str, reason: str) -> Json:
    """See to it that the job never starts; one that was started is left alone."""
    job.unlock()
    with contextlib.suppress(FileExistsError):
        os.makedirs(job.path("logs"), mode=0o700)
    with job.lock() as lock:
        is_new = not job.exists("runner.json") and not job.exists("exit.json")
        if lock is not None and is_new:
            job.finish(word, detail=reason)
    return {}


def _ask_supervisor(job: Job, grace: Optional[float], reason: str) -> None:
    trouble = None
    if not job.exists("cancel.json"):
        request = {"reason": reason, "grace_seconds": grace, "time": time.time()}
        try:
            job.write("cancel.json", request)
        except OSError as error:
            trouble = error
    # The signal is enough: a run has to be canceled on a full disk, too.
    who = job.who()
    told = False
    if not who["apart"] and lives(who):
        told = send_signal(who["pid"], who["start_time"], signal.SIGUSR1)
    if trouble and not told:
        raise trouble


def _settle(job: Job, grace: Optional[float], reason: str) -> None:
    """End what lives on of a job that lost its supervisor, and write its last word.

    The caller holds the lock.
    """
    if job.last_word() is not None:
        return
    who = job.who()
    if grace is None:
        grace = seconds_in((job.read("job.json") or {}).get("grace_seconds"))
    ending = Ending(DEFAULT_GRACE if grace is None else grace)
    living = _orphans(who)
    while living:
        ending.step(living)
        time.sleep(0.02)
        living = _orphans(who)
    if not ending.processes:
        # Who canceled it may have had to end what it ran in.
        wanted = who["apart"] and job.exists("cancel.json")
        job.finish("canceled" if wanted else "lost", detail=_why_lost(who))
        return
    receipt = ending.receipt(left=0)
    detail = "The runner was gone." if reason == "canceled" else _why_lost(who)
    job.finish(reason, detail=detail, receipt=receipt)


def _why_lost(who: Json) -> str:
    if who["apart"]:
        return (
            "The exit code can't be known, since what the script ran in was ended by"
            " something outside the portal."
        )
    restarted = who.get("boot_id") != boot_id()
    cause = (
        "the machine restarted"
        if restarted
        else "the runner was ended by something outside the portal"
    )
    return "The exit code can't be known, since %s." % cause


def _orphans(who: Json) -> Dict[int, int]:
    """pid → start time of all of a job that lost its supervisor."""
    if who["apart"] or who.get("boot_id") != boot_id():
        return {}
    processes = all_processes()
    roots = {pid for pid in processes if _has_mark(pid, who.get("mark"))}
    child = who.get("child")
    if child and lives(child):
        roots |= {pid for pid, each in processes.items() if each[1] == child["pid"]}
    found = descendants(roots, processes)
    found.update({pid: processes[pid][2] for pid in roots})
    return found


def _child_lives(who: Json) -> bool:
    """Whether the script lives on without its supervisor."""
    return not who["apart"] and lives(who.get("child"))


def _has_mark(pid: int, mark: Optional[str]) -> bool:
    return bool(mark) and mark_of(pid) == mark


def mark_of(pid: int) -> str:
    """The mark of the job that the process belongs to; empty if to none."""
    begin = ("%s=" % MARK).encode()
    with contextlib.suppress(OSError), open("/proc/%d/environ" % pid, "rb") as file:
        for variable in file.read().split(b"\0"):
            if variable.startswith(begin):
                return variable[len(begin) :].decode(errors="replace")
    return ""


def state(job: Job) -> Json:
    """Where the job is: absent, not_started, running, ended or lost.

    Of one that runs, "asked_to_end" tells for how many seconds it has been asked to.
    """
    job.unlock()
    if not job.exists():
        return {"state": "absent"}
    word = job.last_word()
    if word is not None:
        return {"state": "ended", "exit_code": word.get("exit_code")}
    if not job.exists("runner.json"):
        return {"state": "not_started"}
    who = job.who()
    if job.is_supervised() or _child_lives(who) or _orphans(who):
        return {"state": "running", "asked_to_end": _asked_to_end(job)}
    # It may have written its last word since the first look, and gone.
    return {"state": "lost" if job.last_word() is None else "ended"}


def _asked_to_end(job: Job) -> Optional[float]:
    asked = (job.read("cancel.json") or {}).get("time")
    if not isinstance(asked, (int, float)):
        return None
    return seconds_in(max(time.time() - asked, 0.0))


def clean(job: Job) -> Json:
    """Remove the folder of a job that does not run."""
    if state(job)["state"] == "running":
        raise Refused("The job still runs: cancel it first.")

    if not remove_tree(job.folder):
        raise Refused("%s could not be removed." % job.folder)
    return {}


def remove_tree(folder: str) -> bool:
    """Remove a folder whatever scripts have made of it, a link among that; if it went."""

    def make_writable(_function: object, path: str, _error: object) -> None:
        with contextlib.suppress(OSError):
            os.chmod(os.path.dirname(path), 0o700)
            if not os.path.islink(path):
                os.chmod(path, 0o700)
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path, onerror=make_writable)
            else:
                os.unlink(path)

    for _ in range(3):
        if os.path.lexists(folder):
            shutil.rmtree(folder, onerror=make_writable)
    return not os.path.lexists(folder)


# What lives of jobs, whatever became of them otherwise


def living(jobs: Job) -> Json:
    """All that lives of jobs, of this portal or another, whose folders are here or not.

    `jobs` is the folder of them all. Those in a container are left out, where that is
    known: who started it tells of it.
    """
    found: Dict[str, Json] = {}
    for pid in all_processes():
        portal, _, rest = mark_of(pid).partition(":")
        name = rest.partition(":")[0]
        if name in (".", "..") or "/" in name:
            # A script has made it up; it would lead to another folder.
            continue
        process = _about(pid)
        if name and process and not Job(jobs.path(name)).who()["apart"]:
            job = found.setdefault(name, {"portal": portal, "processes": []})
            job["processes"].append(process)
    return found


def _about(pid: int) -> Optional[Json]:
    fields = stat_fields(pid)
    if not fields:
        return None
    with open("/proc/uptime") as file:
        up = float(file.read().split()[0])
    age = up - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    memory = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    return {
        "pid": pid,
        "name": name_of(pid),
        "since": time.time() - age,
        "memory_bytes": memory,
    }


def end_living(job: Job, grace: Optional[float], reason: str) -> Json:
    """End whatever lives of a job, also if it was said to have ended; soon."""
    if job.exists("runner.json") and job.last_word() is None:
        return cancel(job, grace, reason)
    _in_background(job, lambda: _end_marked(job, grace))
    return {}


def _end_marked(job: Job, grace: Optional[float]) -> None:
    name = os.path.basename(job.folder)
    ending = Ending(DEFAULT_GRACE if grace is None else grace)
    while True:
        processes = all_processes()
        marked = {
            pid: began
            for pid, (_, _, began) in processes.items()
            if mark_of(pid).split(":")[1:2] == [name]
        }
        if not marked:
            return
        ending.step(marked)
        time.sleep(0.02)


# Following


class HungUp(Exception):
    """Nobody reads any more what is sent."""


class Follower:
    """Sends what grows in the watched jobs as frames on standard output."""

    # Seconds from one look to the next: so many for each job, since each look costs
    # something, within these limits.
    ROUND_OF_EACH = 0.001
    SHORTEST_ROUND, LONGEST_ROUND = 0.01, 0.05
    CHUNK = 1 << 18
    BEAT = 2.0

    def __init__(self, root: str) -> None:
        self.root = root
        self.watched: Dict[str, Watched] = {}
        self.commands = b""
        self.beat_due = 0.0
        # One piece of memory for all that is sent, which is the quickest.
        self.buffer = memoryview(bytearray(self.CHUNK))

    def run(self) -> None:
        os.set_blocking(0, False)
        with contextlib.suppress(OSError):
            fcntl.fcntl(1, 1031, 4 * self.CHUNK)  # F_SETPIPE_SZ, if it is a pipe
        while self._take_commands():
            if time.monotonic() >= self.beat_due:
                self.beat_due = time.monotonic() + self.BEAT
                self.send({"beat": time.time()})
            more = False
            for watched in list(self.watched.values()):
                more = self._look(watched) or more
            select.select([0], [], [], 0 if more else self._pause())

    def _look(self, watched: Watched) -> bool:
        """Look at a job; whatever is wrong with it, the others are looked at."""
        try:
            return watched.look()
        except HungUp:
            raise
        except OSError:
            # What can't be read now is looked at again.
            return False
        except Exception as error:
            self.forget(watched.name)
            watched.send({"dropped": repr(error)})
            return False

    def _pause(self) -> float:
        if not self.watched:
            return self.BEAT
        seconds = len(self.watched) * self.ROUND_OF_EACH
        return min(max(seconds, self.SHORTEST_ROUND), self.LONGEST_ROUND)

    def _take_commands(self) -> bool:
        """Carry out what has been asked; False once nobody asks any more."""
        try:
            data = os.read(0, 1 << 16)
        except BlockingIOError:
            return True
        if not data:
            return False
        lines = (self.commands + data).split(b"\n")
        self.commands = lines.pop()
        for line in lines:
            self._command(json.loads(line))
        return True

    def _command(self, command: Json) -> None:
        if "watch" in command:
            name = command["watch"]
            self.watched[name] = Watched(self, name, command)
        elif "forget" in command:
            self.watched.pop(command["forget"], None)
        elif "cancel" in command:
            self._cancel(command)

    def _cancel(self, command: Json) -> None:
        """In the background, since a full disk may keep it waiting."""
        job = Job(os.path.join(self.root, command["cancel"]))
        grace, reason = command.get("grace_seconds"), command.get("reason", "")
        _in_background(job, lambda: cancel(job, grace, reason))

    def send(self, header: Json, payload: Optional[memoryview] = None) -> None:
        if payload is not None:
            header["size"] = len(payload)
        parts = [memoryview(json.dumps(header).encode() + b"\n")]
        if payload:
            parts.append(payload)
        try:
            while parts:
                sent = os.writev(1, parts)
                while parts and sent >= len(parts[0]):
                    sent -= len(parts.pop(0))
                if parts:
                    parts[0] = parts[0][sent:]
        except OSError:
            raise HungUp from None

    def forget(self, name: str) -> None:
        self.watched.pop(name, None)


class Watched:
    """What of one job was sent."""

    SLOW = 0.25
    # After news in its events, a job is looked at closely for so many seconds.
    CLOSELY = 2.0

    def __init__(self, follower: Follower, name: str, command: Json) -> None:
        self.follower = follower
        self.name = name
        self.job = Job(os.path.join(follower.root, name))
        self.offsets = dict.fromkeys(STREAMS, 0)
        self.offsets.update(command.get("have", {}))
        self.outputs = Outputs(self, command.get("files", {}))
        self.slow_due = 0.0
        self.closely_until = 0.0
        self.last_word: Optional[Json] = None
        self.noted_orphan = False

    def send(self, header: Json, payload: Optional[memoryview] = None) -> None:
        self.follower.send(dict({"job": self.name}, **header), payload)

    def look(self) -> bool:
        """Send what grew; whether there is more of it at once."""
        now = time.monotonic()
        slow = now >= self.slow_due
        if slow:
            self.slow_due = now + self.SLOW
            self.job.unlock()
            if not self.job.exists():
                self.send({"missing": True})
                self.follower.forget(self.name)
                return False
            if self.last_word is None:
                self._check_supervisor()
        # Read before the files: once it is there, they are complete.
        if self.last_word is None and (slow or now < self.closely_until):
            self.last_word = self.job.last_word()
        ended = self.last_word
        more = False
        for name in STREAMS if slow or ended else (LOG, EVENTS):
            more = self._send_growth(name) or more
        if slow or ended or self.outputs.work:
            more = self.outputs.step(final=ended is not None) or more
        if ended is not None and not more:
            self.send({"final": True}, memoryview(json.dumps(ended).encode()))
            self.follower.forget(self.name)
        return more

    def _send_growth(self, name: str) -> bool:
        path, offset = self.job.path(name), self.offsets[name]
        try:
            if os.stat(path).st_size <= offset:
                return False
            descriptor = open_below(self.job.folder, name, os.O_RDONLY)
            with open(descriptor, "rb", buffering=0) as file:
                data = self.read(file, offset, Follower.CHUNK)
        except OSError:
            return False
        if not data:
            return False
        self.send({"file": name, "offset": offset}, data)
        self.offsets[name] += len(data)
        if name == EVENTS:
            self.closely_until = time.monotonic() + self.CLOSELY
        return len(data) == Follower.CHUNK

    def read(self, file: BinaryIO, offset: int, size: int) -> memoryview:
        """At most `size` bytes of a file, which are good until the next call."""
        buffer = self.follower.buffer[:size]
        return buffer[: os.preadv(file.fileno(), [buffer], offset)]

    def _check_supervisor(self) -> None:
        """See to a job whose supervisor is gone."""
        who = self.job.who()
        if self.job.is_supervised() or not self.job.exists("runner.json"):
            return
        if self.job.last_word() is not None:
            return
        with self.job.lock() as lock:
            if lock is None:
                return
            if not _child_lives(who):
                # In the background, since what the script left takes its time to end.
                _in_background(self.job, lambda: _settle(self.job, None, "lost"))
            elif not self.noted_orphan:
                self.noted_orphan = True
                self.job.event("note", detail="The runner is gone; the script lives.")


class Outputs:
    """The files that the script leaves, sent as whole versions when they are quiet.

    The work is done a little at a time, so that a large file of one job does not keep
    the logs of the others waiting.
    """

    QUIET = 1.0
    # A file that is never quiet, say a table that grows, is sent every so often if it
    # is small.
    PATIENCE, SMALL = 3.0, 1 << 22
    AT_ONCE = 0.02

    def __init__(self, watched: Watched, have: Dict[str, List[int]]) -> None:
        self.watched = watched
        self.sent: Dict[str, Version] = {
            name: (version[0], version[1]) for name, version in have.items()
        }
        # Since when a file is not as it was sent.
        self.changed: Dict[str, float] = {}
        # Files and folders that the last look could not look into.
        self.unseen: Set[str] = set()
        self.due = 0.0
        self.work: Optional[Iterator[None]] = None
        self.is_final = False
        self.begun = 0.0

    def step(self, *, final: bool) -> bool:
        """Do a little of what there is to do; whether some of it is left.

        With `final`, all that the job left is sent before this is False.
        """
        if self.work is None:
            if not final and time.monotonic() < self.due:
                return False
            self.begun = time.monotonic()
            self.is_final = final
            self.work = self._send_changes(final=final)
        until = time.monotonic() + self.AT_ONCE
        for _ in self.work:
            if time.monotonic() > until:
                return True
        self.work = None
        # Looking and sending take at most about a tenth of the time.
        self.due = time.monotonic() + max(1.0, 10 * (time.monotonic() - self.begun))
        # A look that began before the end may have missed what came after.
        return final and not self.is_final

    def _send_changes(self, *, final: bool) -> Iterator[None]:
        found = {}
        for name, version in self._walk():
            found[name] = version
            yield
        gone = [
            name
            for name in self.sent
            if name not in found and not self._is_unseen(name)
        ]
        for name in gone:
            del self.sent[name]
        self.changed = {name: at for name, at in self.changed.items() if name in found}
        if gone:
            self.watched.send({"removed": gone})
        for name, version in found.items():
            if self.sent.get(name) != version and (
                final or self._is_ripe(name, version)
            ):
                for _ in self._send_file(name, version):
                    yield

    def _is_unseen(self, name: str) -> bool:
        """Whether the file may be there, in a folder that can't be looked into."""
        while name and name not in self.unseen:
            name = os.path.dirname(name)
        return bool(name)

    def _is_ripe(self, name: str, version: Version) -> bool:
        since = self.changed.setdefault(name, time.monotonic())
        quiet = time.time() - version[1] / 1e9 >= self.QUIET
        waited = time.monotonic() - since >= self.PATIENCE
        return quiet or (waited and version[0] <= self.SMALL)

    def _walk(self) -> Iterator[Tuple[str, Version]]:
        work = self.watched.job.path("work")
        self.unseen = set()
        if os.path.islink(work):
            return
        for top in ("outputs", "logs"):
            folder = os.path.join(work, top)
            if os.path.islink(folder):
                continue
            for parent, _, names in os.walk(folder, onerror=self._pass_over):
                for path in (os.path.join(parent, name) for name in names):
                    version = self._version_of(path)
                    if version:
                        yield os.path.relpath(path, work), version

    def _version_of(self, path: str) -> Optional[Version]:
        """What version of a file is there; None of what is none, or not seen."""
        try:
            facts = os.lstat(path)
        except OSError as error:
            self._pass_over(error)
            return None
        is_file = stat.S_ISREG(facts.st_mode)
        return (facts.st_size, facts.st_mtime_ns) if is_file else None

    def _pass_over(self, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            work = self.watched.job.path("work")
            name = os.path.relpath(error.filename, work)
            self.unseen.add(name)
            self._give_up(name, error.strerror or str(error))

    def _send_file(self, name: str, version: Version) -> Iterator[None]:
        try:
            folder, path = self.watched.job.folder, "work/%s" % name
            descriptor = open_below(folder, path, os.O_RDONLY)
        except OSError as error:
            self._give_up(name, error.strerror or str(error))
            return
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                for _ in self._send_pieces(name, version, file):
                    yield

    def _give_up(self, name: str, why: str) -> None:
        """Say why a file is not sent, once there is no other look at it."""
        if self.is_final:
            self.watched.send({"output": name, "left_out": why})

    def _send_pieces(
        self, name: str, version: Version, file: BinaryIO
    ) -> Iterator[None]:
        size, mtime_ns = version
        header = {"output": name, "total": size, "mtime_ns": mtime_ns}
        offset, last = 0, False
        while not last:
            data = self._read_piece(file, version, offset)
            if data is None:
                self.watched.send({"output": name, "torn": True})
                self._give_up(name, "it still changed when it was read")
                return
            last = offset + len(data) >= size
            self.watched.send(dict(header, offset=offset, last=last), data)
            offset += len(data)
            yield
        self.sent[name] = version
        self.changed.pop(name, None)

    def _read_piece(
        self, file: BinaryIO, version: Version, offset: int
    ) -> Optional[memoryview]:
        """The next bytes; None if they are no longer those of the version."""
        try:
            data = self.watched.read(file, offset, version[0] - offset)
            facts = os.fstat(file.fileno())
        except OSError:
            return None
        same = (facts.st_size, facts.st_mtime_ns) == version
        return data if same and (data or not version[0]) else None


# The command line

VERBS: Dict[str, Callable[[Job], Json]] = {
    "start": start,
    "supervise": supervise,
    "state": state,
    "clean": clean,
    "living": living,
}
# Those that are told why, and how long to be patient.
ENDINGS: Dict[str, Callable[[Job, Optional[float], str], Json]] = {
    "cancel": cancel,
    "end_living": end_living,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="runner.py", description=__doc__)
    parser.add_argument("verb", choices=[*VERBS, *ENDINGS, "prevent", "follow"])
    parser.add_argument("folder")
    parser.add_argument("--grace", type=float)
    parser.add_argument("--reason", default="")
    parser.add_argument("--word", default="")
    asked = parser.parse_args()
    if asked.verb == "follow":
        with contextlib.suppress(HungUp):
            Follower(asked.folder).run()
        return 0
    job = Job(asked.folder)
    try:
        if asked.verb in ENDINGS:
            answer = ENDINGS[asked.verb](job, asked.grace, asked.reason)
        elif asked.verb == "prevent":
            answer = prevent(job, asked.word, asked.reason)
        else:
            answer = VERBS[asked.verb](job)
    except (Refused, OSError) as error:
        sys.stderr.write("%s\n" % error)
        return 1
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
