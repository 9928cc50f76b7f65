"""Runs one job on the machine that owns it, and tells the portal about it.

Shipped to compute targets with the others of this folder: standard library only, Python
3.8 or newer. A job is a folder:

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
here, so that the lock tells whether its supervisor lives. Every verb may be called at
any time, by any process, again and again.

The portal itself imports this file as well, so the others are imported where they are
needed: by their own names, since the folder that Python was given is the first in its
path.
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
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Optional,
    Sequence,
    Tuple,
)

Json = Dict[str, Any]
# The parent, the session and the start time of a process.
Process = Tuple[int, int, int]

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


@functools.lru_cache(maxsize=1024)
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

    @property
    def was_begun(self) -> bool:
        return self.exists("runner.json") or self.exists("exit.json")

    def make_folder(self) -> None:
        """Also that of a job that was never staged."""
        with contextlib.suppress(FileExistsError):
            os.makedirs(self.path("logs"), mode=0o700)

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
        from samples import Samples  # type: ignore[import-not-found]

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
        from environment import Environment  # type: ignore[import-not-found]

        environment = Environment.of(self.job)
        # Held as long as this process lives, so that nobody removes it.
        self.environment = environment.hold()
        if self.environment is not None:
            environment.note_use(functools.partial(self.job.event, "environment"))
        while self.environment is None:
            if not self._build():
                return False
            self.environment = environment.hold()
        self.spec = dict(self.spec, env={**environment.variables, **self.spec["env"]})
        log_bytes = 0
        with contextlib.suppress(FileNotFoundError):
            log_bytes = os.stat(self.job.path(LOG)).st_size
        self.job.event("prepared", log_bytes=log_bytes)
        return True

    def _build(self) -> bool:
        """Have the environment built, or wait for who does; False if the job is over.

        A process of the job does it, under the same limits, and writes into its log.
        The script never has what that is given. Nor has it the variables of the
        script: others get what is built, and uv would listen to them.
        """
        package = os.path.dirname(os.path.abspath(__file__))
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
        job = self.job
        for name in self.spec.get("collect", ()):
            with contextlib.suppress(OSError):
                os.makedirs(os.path.join(job.path(self.spec["cwd"]), name))
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        log = os.open(job.path(LOG), flags, 0o600)
        if hidden:
            log = self._mask(log, hidden)
        source = _readable(given, job.folder)
        surroundings = dict(os.environ, PYTHONUNBUFFERED="1")
        surroundings.update(env or {})
        surroundings[MARK] = self.who["mark"]
        try:
            return self._fork(argv, cwd, source, log, surroundings)
        finally:
            os.close(log)
            os.close(source)

    def _fork(
        self, argv: List[str], cwd: str, source: int, log: int, env: Dict[str, str]
    ) -> int:
        said, say = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                self._become(argv, cwd, source, log, env)
            except BaseException as error:
                os.write(say, b"%d" % (getattr(error, "errno", None) or 22))
            os._exit(127)
        os.close(say)
        trouble = os.read(said, 16)
        os.close(said)
        if trouble:
            os.waitpid(pid, 0)
            raise OSError(int(trouble), os.strerror(int(trouble)))
        return pid

    def _mask(self, log: int, hidden: Sequence[str]) -> int:
        """Have a process write the log, masked; where to write for that."""
        from masking import leave_masker  # type: ignore[import-not-found]

        end: int
        self.masker, end = leave_masker(log, hidden)
        os.close(log)
        return end

    def _become(
        self, argv: List[str], cwd: str, source: int, log: int, env: Dict[str, str]
    ) -> None:
        os.setsid()
        if self.environment is not None:
            # Nobody removes it either if this process is killed and that one is not.
            os.set_inheritable(self.environment, True)
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
        waits: List[float] = [1.0, self.samples.due - now]
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
        return limit is not None and bool(self.samples.idle_seconds() > limit)

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


# The verbs


class Refused(Exception):
    """What was asked for can't be done; the message is for a person."""


def start(job: Job) -> Json:
    """Have the job supervised, once ever; its handle, when it is on the disk."""
    if not job.was_begun:
        spec = _spec_of(job)
        with job.lock() as lock:
            if lock is not None and not job.was_begun:
                _leave_supervisor(job, spec)
            deadline = time.monotonic() + 30
            while not job.was_begun:
                if time.monotonic() > deadline:
                    raise Refused("The supervisor did not come up.")
                time.sleep(0.002)
    return job.read("runner.json") or {}


def supervise(job: Job) -> Json:
    """Supervise the job from its start to its end, once ever; how it ended."""
    spec = _spec_of(job)
    with job.lock() as lock:
        if lock is not None and not job.was_begun:
            supervisor = Supervisor(job, spec)
            supervisor.announce()
            supervisor.run()
    return job.read("exit.json") or {}


def _spec_of(job: Job) -> Json:
    """What a job that is about to begin is told; its log has a folder then."""
    spec = job.read("job.json")
    if spec is None:
        raise Refused("There is no job.json in %s." % job.folder)
    job.make_folder()
    return spec


def give_secrets(job: Job, secrets: Json) -> Json:
    """Leave secrets for the supervisor, which reads them as the first thing.

    A job that was begun gets none: nobody would take them away. Of one that begins at
    this moment, that is seen after the file is there, or else it removes that.
    """
    if not job.was_begun:
        try:
            job.write(SECRETS, secrets)
        except FileNotFoundError:
            # The supervisor has removed what was not quite written.
            if not job.was_begun:
                raise
    if job.was_begun:
        job.forget_secrets()
    return {}


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

    in_background(job, supervise)
    os.close(say)
    with open(said, "rb") as file:
        trouble = file.read().decode()
    if trouble:
        raise Refused("The job folder can't be written to: %s." % trouble)


def in_background(job: Job, work: Callable[[], object]) -> None:
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
    job.make_folder()
    with job.lock() as lock:
        if lock is None:
            _ask_supervisor(job, grace, reason)
        elif not job.exists("runner.json"):
            job.finish("canceled_before_start", detail=reason)
        else:
            # Handed over with the lock.
            in_background(job, lambda: settle(job, grace, "canceled"))
    return {}


def prevent(job: Job, word: str, reason: str) -> Json:
    """See to it that the job never starts; one that was started is left alone."""
    job.unlock()
    job.make_folder()
    with job.lock() as lock:
        if lock is not None and not job.was_begun:
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


def settle(job: Job, grace: Optional[float], reason: str) -> None:
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


def child_lives(who: Json) -> bool:
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
    if job.is_supervised() or child_lives(who) or _orphans(who):
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
    """Remove a folder whatever scripts have made of it; whether it has gone."""

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
    in_background(job, lambda: _end_marked(job, grace))
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
    parser.add_argument("verb", choices=[*VERBS, *ENDINGS, "prevent"])
    parser.add_argument("folder")
    parser.add_argument("--grace", type=float)
    parser.add_argument("--reason", default="")
    parser.add_argument("--word", default="")
    asked = parser.parse_args()
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
