"""A real sshd for tests, on a free port, for the account that the tests run in."""

import getpass
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from aml_portal.errors import TargetError
from computes.hosts.ssh_connection import SshAccount, host_key_of
from tests.services.service import Service
from tests.waiting import eventually, free_port

# Not in the PATH of everybody.
_SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin") or "sshd"


class Sshd(Service):
    """Runs for the length of a `with` block; signs in by the key `private_key`."""

    def __init__(self, **options: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="aml-sshd-"))
        self.port = free_port()
        self.user = getpass.getuser()
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        for name in ("host_key", "user_key"):
            make_key(self.folder / name)
        shutil.copy(self.folder / "user_key.pub", self.folder / "authorized_keys")

    @property
    def private_key(self) -> str:
        return (self.folder / "user_key").read_text()

    @property
    def host_key(self) -> str:
        kind, data, *_ = (self.folder / "host_key.pub").read_text().split()
        return f"{kind} {data}"

    def account(self, **changes: object) -> SshAccount:
        facts = {
            "address": "127.0.0.1",
            "port": self.port,
            "user": self.user,
            "host_key": self.host_key,
            "private_key": self.private_key,
        }
        return SshAccount(**{**facts, **changes})  # type: ignore[arg-type]

    def command(self) -> list[str]:
        """The usual client, as far as the host's name."""
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"]
        words = [f"-o{option}" for option in (*options, "LogLevel=ERROR")]
        key = self.folder / "user_key"
        return ["ssh", f"-p{self.port}", f"-i{key}", *words, f"{self.user}@127.0.0.1"]

    def start(self) -> None:
        # As root, it separates its privileges in this folder.
        with suppress(PermissionError):
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        settings = {
            "AuthorizedKeysFile": str(self.folder / "authorized_keys"),
            "ListenAddress": "127.0.0.1",
            "PidFile": "none",
            "StrictModes": "no",
            "UsePAM": "no",
            **self._options,
        }
        command = [_SSHD, "-D", "-f/dev/null", f"-p{self.port}"]
        command += [f"-h{self.folder / 'host_key'}", f"-E{self.folder / 'log'}"]
        command += [f"-o{name}={value}" for name, value in settings.items()]
        self._process = subprocess.Popen(command)
        eventually(self._answers, "sshd answers")

    def stop(self) -> None:
        """End it, with every connection that it has."""
        if self._process is not None:
            subprocess.run(["pkill", "-KILL", "-P", str(self._process.pid)])
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            host_key_of("127.0.0.1", self.port)
        except TargetError:
            return False
        return True

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)


def make_key(path: Path, passphrase: str = "", kind: str = "ed25519") -> str:
    """Make a pair of keys with ssh-keygen; the private one."""
    command = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", str(path)]
    subprocess.run(command, check=True)
    return path.read_text()
