"""A real Slurm cluster for tests: a controller and nodes, all on this machine."""

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.services.service import Service
from tests.waiting import eventually, free_port

NODES = ("n1", "n2")
CPUS, MEMORY_MB, GPUS = 4, 4000, 2
# Not in the PATH of everybody.
_SBIN = "/usr/sbin:/usr/local/sbin:/sbin"
_READY = ("idle", "mixed", "allocated", "completing")


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str


class Slurm(Service):
    """Runs for the length of a `with` block, apart from any other Slurm there is.

    The partition `cpu`, the default one, has both nodes, and `gpu` has `n2`, whose GPUs
    are stand-ins. There is no accounting. `options` go into slurm.conf.
    """

    def __init__(self, **options: object) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="aml-slurm-"))
        self.folder.chmod(0o755)
        self.conf = self.folder / "slurm.conf"
        self.env = {**os.environ, "SLURM_CONF": str(self.conf)}
        self._options = options
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        self._write_conf()
        self._start_munge()
        self.start_controller()
        for node in NODES:
            self.start_node(node)
        self.wait_for_nodes(*NODES)

    def start_controller(self) -> None:
        """Start slurmctld, and wait until it answers."""
        self._start("slurmctld", "slurmctld", "-D", "-i")
        eventually(lambda: self.ask("scontrol", "ping").code == 0, "slurmctld answers")

    def stop_controller(self) -> None:
        """Stop slurmctld as a restart does: jobs go on."""
        self._stop("slurmctld", signal.SIGTERM)

    def start_node(self, node: str) -> None:
        self._start(node, "slurmd", "-D", "-N", node)

    def kill_node(self, node: str) -> None:
        """End slurmd as a power cut does: with all that it runs."""
        self._stop(node, signal.SIGKILL)
        # Other clusters of tests have nodes of this name too.
        mine = {*self.processes_of(f"SLURM_CONF={self.conf}")}
        of_jobs = mine & {*self.processes_of(f"SLURMD_NODENAME={node}")}
        # First who would tell the controller that a job has ended.
        keepers = {_parent(pid) for pid in of_jobs} & {*self.processes_of("slurmstepd")}
        for pid in [*keepers, *of_jobs]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def wait_for_nodes(self, *nodes: str) -> None:
        """Wait until the nodes take jobs."""
        eventually(
            lambda: all(self.state_of(node) in _READY for node in nodes),
            f"{' and '.join(nodes)} are ready",
        )

    def state_of(self, node: str) -> str:
        said = self.ask("sinfo", "-h", "-n", node, "-o", "%T", "-p", "cpu")
        return said.out.strip()

    def drain(self, node: str, reason: str = "a test") -> None:
        self.update(f"NodeName={node}", "State=DRAIN", f"Reason={reason}")

    def give_up(self, node: str) -> None:
        """Have Slurm take a node for one that has failed."""
        self.update(f"NodeName={node}", "State=DOWN", "Reason=a test")

    def resume(self, node: str) -> None:
        self.update(f"NodeName={node}", "State=RESUME")

    def update(self, *words: str) -> None:
        self.must("scontrol", "update", *words)

    def must(self, *command: str) -> str:
        """What a Slurm command prints, which has to succeed."""
        said = self.ask(*command)
        assert said.code == 0, said.err
        return said.out

    def ask(self, *command: str) -> Said:
        done = subprocess.run(
            command, env=self.env, capture_output=True, text=True, timeout=30
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def jobs(self, name: str = "") -> list[str]:
        """The states of the jobs of a name, or of all, that Slurm still knows."""
        named = ["--name", name] if name else []
        return self.must("squeue", "-h", "-t", "all", "-o", "%T", *named).split()

    def wait_for_end(self, name: str) -> None:
        """Wait until no job of this name waits, runs or ends."""
        left = ("squeue", "-h", "-o", "%A", "-n", name)
        eventually(lambda: not self.must(*left), f"{name} has ended in Slurm", 60)

    def set_end(self, name: str, *, seconds: float) -> None:
        """Have the time limit of the job of this name come in so many seconds."""
        end = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(time.time() + seconds))
        self.update(f"JobId={self.ids(name)[0]}", f"EndTime={end}")

    def ids(self, name: str) -> list[str]:
        """The numbers of the jobs of a name."""
        return self.must("squeue", "-h", "-t", "all", "-o", "%A", "-n", name).split()

    def processes_of(self, words: str) -> list[int]:
        """The processes that have to do with a job of these words."""
        return [
            int(path.parent.name)
            for path in Path("/proc").glob("[0-9]*/environ")
            if words.encode() in _read(path) + _read(path.parent / "cmdline")
        ]

    def end_all_jobs(self) -> None:
        """Leave nothing queued or running, and all nodes at work."""
        for node in NODES:
            if node not in self._daemons:
                self.start_node(node)
        self.ask("scancel", "--user", getpass.getuser())
        eventually(lambda: not self.must("squeue", "-h"), "all Slurm jobs are gone")
        for node in NODES:
            self.ask("scontrol", "update", f"NodeName={node}", "State=RESUME")
        self.wait_for_nodes(*NODES)

    def logs(self) -> str:
        files = sorted(self.folder.glob("*.log"))
        return "\n".join(f"{file.name}:\n{_tail(file)}" for file in files)

    def stop(self) -> None:
        self.ask("scancel", "--user", getpass.getuser())
        for name in [*self._daemons][::-1]:
            self._stop(name, signal.SIGTERM)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, name: str, program: str, *options: str) -> None:
        path = shutil.which(program, path=_SBIN)
        assert path, f"There is no {program}: run make test-install."
        with (self.folder / f"{name}.log").open("ab") as log:
            self._daemons[name] = subprocess.Popen(
                [path, *options], env=self.env, stdout=log, stderr=log
            )

    def _stop(self, name: str, number: signal.Signals) -> None:
        daemon = self._daemons.pop(name)
        daemon.send_signal(number)
        try:
            daemon.wait(20)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def _start_munge(self) -> None:
        """Who signs the messages; its socket is nobody else's."""
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        files = [
            f"--{name}={self.folder / f'munge.{name}'}"
            for name in ("socket", "pid-file", "log-file", "seed-file")
        ]
        words = ["--foreground", "--force", "--num-threads=2", f"--key-file={key}"]
        self._start("munge", "munged", *words, *files)
        eventually((self.folder / "munge.socket").exists, "munged answers")

    def _write_conf(self) -> None:
        here, folder = socket.gethostname(), self.folder
        facts: dict[str, object] = {
            "ClusterName": "aml-tests",
            "SlurmctldHost": f"{here}(127.0.0.1)",
            "SlurmctldPort": free_port(),
            "SlurmUser": getpass.getuser(),
            "SlurmdUser": getpass.getuser(),
            "AuthInfo": f"socket={folder / 'munge.socket'}",
            "StateSaveLocation": folder / "state",
            "SlurmdSpoolDir": folder / "spool-%n",
            "SlurmctldPidFile": folder / "slurmctld.pid",
            "SlurmdPidFile": folder / "%n.pid",
            "SlurmdParameters": "config_overrides",
            "ProctrackType": "proctrack/linuxproc",
            "TaskPlugin": "task/none",
            "MpiDefault": "none",
            "SelectType": "select/cons_tres",
            "SelectTypeParameters": "CR_CPU_Memory",
            "GresTypes": "gpu",
            "ReturnToService": 2,
            "MessageTimeout": 5,
            "KillWait": 3,
            "SchedulerParameters": "sched_interval=1,bf_interval=1,batch_sched_delay=0",
            **self._options,
        }
        lines = [f"{name}={value}" for name, value in facts.items()]
        for node in NODES:
            gres = f" Gres=gpu:tesla:{GPUS}" if node == "n2" else ""
            lines.append(
                f"NodeName={node} NodeHostname={here} NodeAddr=127.0.0.1"
                f" Port={free_port()} CPUs={CPUS} RealMemory={MEMORY_MB}{gres}"
            )
        lines.append("PartitionName=cpu Nodes=n1,n2 Default=YES DefMemPerCPU=100")
        lines.append("PartitionName=gpu Nodes=n2 MaxTime=60 DefMemPerCPU=100")
        self.conf.write_text("\n".join([*lines, ""]))
        (folder / "state").mkdir()
        devices = f"{folder}/gpu[0-{GPUS - 1}]"
        for number in range(GPUS):
            # It has to be a device.
            (folder / f"gpu{number}").symlink_to(os.devnull)
        gres = f"NodeName=n2 Name=gpu Type=tesla File={devices}\n"
        (folder / "gres.conf").write_text(gres)


def _parent(pid: int) -> int:
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(b")")[2].split()
    return int(fields[1]) if fields else 0


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _tail(path: Path) -> str:
    return path.read_text(errors="replace")[-3000:]
