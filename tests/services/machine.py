"""A machine of its own for tests: network, processes, accounts, homes, and an sshd.

It is made of namespaces, so it needs root, and has the programs of the machine that the
tests run on. Between the two is a cable that can be pulled: then packets vanish, in
both directions, as they do when a machine has lost its power.
"""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from aml_portal.errors import TargetError
from computes.hosts.ssh_connection import SshAccount, host_key_of
from tests.services.sshd import make_key
from tests.waiting import eventually

PASSWORD = "open sesame"
# Of that password, as `openssl passwd -6` makes it.
_HASH = (
    "$6$amlportal$"
    "oNivqcNR5xXLIXa3zeRhv6Hj6XlBo4S4oHuVonf6sXN0L7y/vLWmEjcint93loX2fnTNUr7O84g9QUANrMsVD."
)
# The first process there: it reaps what others leave, and when it goes, all go.
_INIT = """
set -e
mount -t tmpfs tmpfs /run
mkdir /run/sshd
mount -t tmpfs -o mode=755 tmpfs /home
for name in passwd shadow group pam.d/sshd; do
    mount --bind "$0/$(basename "$name")" "/etc/$name"
done
ip link set lo up
echo ready
while :; do
    sleep 60 &
    wait
done
"""
# The ends of its cable. They know each other: not to find the other one would be news.
_NEAR, _FAR = "02:00:00:00:00:01", "02:00:00:00:00:02"
_KNOWN = ("nud", "permanent", "lladdr")
_PAM = """
auth required pam_unix.so nodelay
account required pam_unix.so
session required pam_unix.so
"""
_SETTINGS = """
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM yes
KbdInteractiveAuthentication no
Match User typist
    PasswordAuthentication no
    KbdInteractiveAuthentication yes
"""


@dataclass(frozen=True, kw_only=True)
class Account:
    """One with a size has a file system of that size as its home."""

    name: str
    shell: str = "/bin/bash"
    home_size: str = ""
    is_read_only: bool = False
    # What its shell is told to do at each start.
    rc: str = ""
    rc_file: str = ".bashrc"


ACCOUNTS = (
    Account(name="ada"),
    # Types its password when it is asked for it, which is another way to sign in.
    Account(name="typist"),
    Account(name="nobody", shell="/usr/sbin/nologin"),
    Account(
        name="chatty", rc='echo "Welcome to $(hostname)!"; echo \'{"answer": 1}\' >&2'
    ),
    Account(
        name="fish",
        shell="/usr/bin/fish",
        rc="echo Welcome; set -g fish_greeting Hello",
        rc_file=".config/fish/config.fish",
    ),
    Account(name="readonly", home_size="1m", is_read_only=True),
    Account(name="packed", home_size="16k"),
    # The runner fits in, and not much else.
    Account(name="narrow", home_size="1m"),
)


class Machine:
    """Runs for the length of a `with` block."""

    port = 22

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="aml-machine-"))
        self.folder.chmod(0o755)
        for name in ("host_key", "user_key"):
            make_key(self.folder / name)
        shutil.copy(self.folder / "user_key.pub", self.folder / "authorized_keys")
        self.address = self._portal = self._near = ""
        self._init: subprocess.Popen[str] | None = None
        self._pid = 0

    @property
    def private_key(self) -> str:
        return (self.folder / "user_key").read_text()

    @property
    def host_key(self) -> str:
        kind, data, *_ = (self.folder / "host_key.pub").read_text().split()
        return f"{kind} {data}"

    def account(self, user: str = "ada", **changes: object) -> SshAccount:
        facts = {
            "address": self.address,
            "user": user,
            "host_key": self.host_key,
            "private_key": self.private_key,
        }
        return SshAccount(**{**facts, **changes})  # type: ignore[arg-type]

    def path(self, name: str) -> Path:
        """A path there, as the tests can look at it."""
        return Path(f"/proc/{self._pid}/root") / name.lstrip("/")

    def run(self, *command: str, check: bool = True) -> str:
        """Have root run a command there; what it prints."""
        done = subprocess.run(
            [*self._enter(), *command], check=check, stdout=subprocess.PIPE, text=True
        )
        return done.stdout

    # Its sshd.

    def start_sshd(self) -> None:
        self.run("/usr/sbin/sshd", "-f", str(self.folder / "sshd_config"))
        eventually(self._answers, "sshd answers")

    def kill_sshd(self) -> None:
        """With every connection that it has, as nobody can prepare for."""
        self.run("pkill", "-KILL", "sshd", check=False)

    def _answers(self) -> bool:
        try:
            host_key_of(self.address)
        except TargetError:
            return False
        return True

    # Its cable.

    def pull_cable(self) -> None:
        self.run("ip", "link", "set", "eth0", "down")

    def plug_cable(self) -> None:
        self.run("ip", "link", "set", "eth0", "up")
        words = ["dev", "eth0", *_KNOWN, _NEAR]
        self.run("ip", "neigh", "replace", self._portal, *words)
        state = Path(f"/sys/class/net/{self._near}/operstate")
        # The kernel takes up to a second to notice.
        eventually(lambda: state.read_text() == "up\n", "the cable is plugged in")

    def mute(self) -> None:
        """Have it hear everything, and all that it says vanish."""
        self.run("ip", "route", "add", "blackhole", f"{self._portal}/32")

    def unmute(self) -> None:
        self.run("ip", "route", "del", "blackhole", f"{self._portal}/32")

    def _lay_cable(self) -> None:
        number = next(n for n in range(1, 255) if self._laid(f"amltest{n}"))
        self._near, network = f"amltest{number}", f"198.18.{number}"
        self._portal, self.address = f"{network}.1", f"{network}.2"
        _ip("addr", "add", f"{self._portal}/24", "dev", self._near)
        _ip("link", "set", self._near, "up")
        _ip("neigh", "add", self.address, "dev", self._near, *_KNOWN, _FAR)
        self.run("ip", "addr", "add", f"{self.address}/24", "dev", "eth0")
        self.plug_cable()

    def _laid(self, near: str) -> bool:
        """Whether the end at the portal could be called so: other tests have some."""
        ends = [near, "address", _NEAR, "type", "veth", "peer", "name", "eth0"]
        command = ["ip", "link", "add", "name", *ends, "address", _FAR]
        command += ["netns", str(self._pid)]
        return not subprocess.run(command, stderr=subprocess.DEVNULL).returncode

    # Its beginning and its end.

    def _write_files(self) -> None:
        users = "root:x:0:0::/root:/bin/bash\nsshd:x:100:65534::/run/sshd:/bin/false\n"
        shadow, groups = "", "root:x:0:\nnogroup:x:65534:\n"
        for uid, account in enumerate(ACCOUNTS, 2000):
            users += (
                f"{account.name}:x:{uid}:{uid}::/home/{account.name}:{account.shell}\n"
            )
            shadow += f"{account.name}:{_HASH}:19000:0:99999:7:::\n"
            groups += f"{account.name}:x:{uid}:\n"
        settings = _SETTINGS.format(folder=self.folder)
        texts = {"passwd": users, "shadow": shadow, "group": groups, "sshd": _PAM}
        for name, text in {**texts, "sshd_config": settings}.items():
            (self.folder / name).write_text(text)

    def _make_home(self, account: Account) -> None:
        home = f"/home/{account.name}"
        self.run("mkdir", "-p", home)
        if account.home_size:
            size = f"size={account.home_size}"
            self.run("mount", "-t", "tmpfs", "-o", size, "tmpfs", home)
        if account.rc:
            file = self.path(f"{home}/{account.rc_file}")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(account.rc + "\n")
        self.run("chown", "-R", f"{account.name}:{account.name}", home)
        if account.is_read_only:
            self.run("mount", "-o", "remount,ro", home)

    def _enter(self) -> list[str]:
        return ["nsenter", f"--target={self._pid}", "--all", "--"]

    def __enter__(self) -> Self:
        self._write_files()
        spaces = ["--mount", "--uts", "--net", "--ipc", "--pid", "--mount-proc"]
        # It goes with the tests, should they be killed.
        command = ["setpriv", "--pdeathsig=KILL", "unshare", *spaces, "--fork"]
        command += ["--kill-child", "sh", "-c", _INIT, str(self.folder)]
        self._init = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._init.stdout
        assert self._init.stdout.readline() == "ready\n"
        own = self._init.pid
        self._pid = int(Path(f"/proc/{own}/task/{own}/children").read_text())
        self.run("hostname", "far")
        self._lay_cable()
        for account in ACCOUNTS:
            self._make_home(account)
        self.start_sshd()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._init
        self._init.kill()
        self._init.communicate()
        shutil.rmtree(self.folder)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
