"""Job folders, and the verbs of the runner on them, as a host would call them."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from computes.runner import RUNNER, runner
from tests.waiting import eventually

RUNNER_COMMAND = [sys.executable, "-I", "-S", str(RUNNER.parent)]


class JobFolder:
    """A job with a Python script, staged when it is made."""

    def __init__(self, path: Path, script: str, *arguments: str, **spec: Any) -> None:
        self.path = path
        self.work = path / "work"
        self.work.mkdir(parents=True)
        (self.work / "train.py").write_text(script)
        self.spec = {
            "id": path.name,
            "argv": [sys.executable, "train.py", *arguments],
            "cwd": "work",
            "env": {},
            "grace_seconds": 5.0,
            "max_duration_seconds": None,
            "collect": ["outputs", "logs"],
            **spec,
        }
        (path / "job.json").write_text(json.dumps(self.spec))

    def give_secrets(self, **secrets: Any) -> None:
        """As a host does just before the start."""
        runner.give_secrets(runner.Job(str(self.path)), secrets)

    def launch(self, verb: str, *options: str, **how: Any) -> "subprocess.Popen[bytes]":
        """Begin a verb of the runner, and don't wait."""
        how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how}
        command = self.command(verb, *options)
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd="/", **how)

    def command(self, verb: str, *options: str) -> list[str]:
        return [*RUNNER_COMMAND, verb, str(self.path), *options]

    def ask(self, verb: str, *options: str, **how: Any) -> dict[str, Any]:
        """The answer of a verb, which has to succeed."""
        process = self.launch(verb, *options, **how)
        answer, words = process.communicate(timeout=60)
        assert process.returncode == 0, words.decode()
        value: dict[str, Any] = json.loads(answer)
        return value

    def refusal(self, verb: str, **how: Any) -> str:
        """The words with which the runner refuses."""
        process = self.launch(verb, **how)
        _, words = process.communicate(timeout=60)
        assert process.returncode == 1
        return words.decode()

    def start(self, **how: Any) -> dict[str, Any]:
        return self.ask("start", **how)

    def state(self) -> str:
        return str(self.ask("state")["state"])

    def run(self, **how: Any) -> dict[str, Any]:
        """Start the job and wait for the runner's last word."""
        self.start(**how)
        return self.last_word()

    def last_word(self, timeout: float = 30) -> dict[str, Any]:
        path = self.path / "exit.json"
        eventually(path.exists, f"{self.path.name} has ended", timeout)
        return self.read("exit.json")

    def read(self, name: str) -> dict[str, Any]:
        value: dict[str, Any] = json.loads((self.path / name).read_bytes())
        return value

    def lines(self, name: str) -> list[dict[str, Any]]:
        path = self.path / name
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text().splitlines()]

    def events(self) -> list[str]:
        return [line["event"] for line in self.lines("events.jsonl")]

    def log(self) -> bytes:
        path = self.path / "logs/std_log.txt"
        return path.read_bytes() if path.exists() else b""

    def says(self, words: str) -> None:
        """Wait until the script has printed these words."""
        text = words.encode()
        eventually(lambda: text in self.log(), f"the script printed {words!r}")

    def supervisor(self) -> int:
        return int(self.read("runner.json")["pid"])

    def kill_supervisor(self) -> None:
        os.kill(self.supervisor(), signal.SIGKILL)
        eventually(lambda: not is_alive(self.supervisor()), "the supervisor is gone")

    def end(self) -> None:
        """See to it that nothing of the job is left."""
        if (self.path / "runner.json").exists():
            self.ask("cancel", "--grace", "0")
            self.last_word()


def is_alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        facts = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return facts.rpartition(b")")[2].split()[0] not in (b"Z", b"X")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def write_program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path
