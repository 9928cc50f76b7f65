"""A real portal in processes of its own, started as a person would start it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import httpx

from tests.waiting import eventually, free_port

ROOT = Path(__file__).resolve().parent.parent.parent
ADMINISTRATOR, PASSWORD = "admin", "a password for tests"
_READY = re.compile(r"^The portal is ready.* (https?://[^/\s]+)(/\S*)$", re.MULTILINE)


def prepare_data(data: Path) -> Path:
    """Do once what every first start would do again."""
    environment = _environment(data)
    subprocess.run(_command("prepare"), env=environment, check=True)
    return data


class Portal:
    """`manage.py serve` with a data folder, a port and an environment of its own.

    `env` is the environment of its processes, `output` what `serve` has printed since
    the last start. The address stays the same when it is started again.
    """

    def __init__(self, prepared: Path, **environment: object) -> None:
        self.data = Path(tempfile.mkdtemp(prefix="aml-portal-"))
        static = self.data / "static"
        shutil.copytree(prepared / "static", static, copy_function=os.link)
        shutil.copy(prepared / "db.sqlite3", self.data)
        settings = {"AML_PORTAL_PORT": free_port(), **environment}
        self.env = _environment(self.data, **settings)
        self.url = self.first_link = self.output = ""
        self.serve: subprocess.Popen[str] | None = None
        self._has_password = False

    def start(self) -> None:
        """Start the portal and wait until it says that it is ready."""
        self.launch()
        eventually(self._has_spoken, "the portal is ready, or gives up", 60)
        found = _READY.search(self.output)
        assert found, f"The portal did not start.\n{self.output}\n{self.logs()}"
        self.url, path = found.groups()
        self.first_link = self.url + path if path != "/" else ""

    def launch(self) -> None:
        """Start the portal, and don't wait."""
        assert self.serve is None, "It runs already."
        self.output = ""
        self.serve = subprocess.Popen(
            _command("serve"),
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._read, args=[self.serve], daemon=True).start()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop the portal as Ctrl-C does; the exit code of `serve`."""
        assert self.serve is not None, "It does not run."
        serve, self.serve = self.serve, None
        os.killpg(serve.pid, number)
        return serve.wait(60)

    def pids(self) -> dict[str, int]:
        """The processes by name: serve, web, worker, monitor, redis."""
        state = json.loads((self.data / "serve.json").read_text())
        return {"serve": state["pid"], **state["processes"]}

    def kill(self, name: str) -> int:
        """Kill one of the processes as nothing can be prepared for; its old pid."""
        pid = self.pids()[name]
        os.kill(pid, signal.SIGKILL)
        if name == "serve":
            assert self.serve is not None
            self.serve.wait(10)
            self.serve = None
        return pid

    def wait_for_new(self, name: str, old: int) -> int:
        """Wait until `serve` has replaced a process; the new pid."""
        eventually(lambda: self.pids().get(name) not in (old, None), f"a new {name}")
        return self.pids()[name]

    def sign_in(self, name: str = ADMINISTRATOR) -> httpx.Client:
        """A client with a session, and with the CSRF token in what it sends.

        The administrator chooses the password by the first link, once.
        """
        client = self.client()
        if name == ADMINISTRATOR and self.first_link and not self._has_password:
            page = client.get(self.first_link)
            form = {"new_password1": PASSWORD, "new_password2": PASSWORD}
            done = client.post(page.url, data=form)
            self._has_password = True
        else:
            form = {"username": name, "password": PASSWORD}
            client.get("/sign-in/")
            done = client.post("/sign-in/", data=form)
        assert _has_session(client), f"{done.status_code} {done.text[:2000]}"
        return client

    def client(self) -> httpx.Client:
        """A client of a stranger."""
        client = httpx.Client(
            base_url=self.url, follow_redirects=True, timeout=30, trust_env=False
        )

        def add_token(request: httpx.Request) -> None:
            for cookie in client.cookies.jar:
                if cookie.name.startswith("aml_portal_csrf") and cookie.value:
                    request.headers["X-CSRFToken"] = cookie.value

        client.event_hooks = {"request": [add_token]}
        return client

    def add_user(self, name: str, *, administrator: bool = False) -> None:
        """A user with the password of all tests."""
        kind = "create_superuser" if administrator else "create_user"
        self.manage(
            "shell",
            "-c",
            "from django.contrib.auth.models import User;"
            f"User.objects.{kind}({name!r}, password={PASSWORD!r})",
        )

    def manage(self, *words: str) -> str:
        """Run `manage.py …` beside the portal; what it prints."""
        done = subprocess.run(
            _command(*words),
            env=self.env,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return done.stdout

    def logs(self) -> str:
        """The ends of what the processes have logged."""
        files = sorted((self.data / "logs").glob("*.log"))
        return "\n".join(f"{file.name}:\n{file.read_text()[-3000:]}" for file in files)

    def remove(self) -> None:
        """Stop everything, the scripts of runs too, and remove the data folder."""
        try:
            if self.serve is not None:
                self.stop()
        finally:
            eventually(self._kill_remains, "all processes of the portal are gone")
            shutil.rmtree(self.data, ignore_errors=True)

    def remains(self) -> list[int]:
        """The processes that have to do with the data folder."""
        return [pid for pid in _all_pids() if _is_about(pid, str(self.data))]

    def _kill_remains(self) -> bool:
        for pid in self.remains():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return not self.remains()

    def _has_spoken(self) -> bool:
        assert self.serve is not None
        ended = self.serve.poll() is not None
        return ended or _READY.search(self.output) is not None

    def _read(self, serve: subprocess.Popen[str]) -> None:
        assert serve.stdout is not None
        with serve.stdout:
            for line in serve.stdout:
                self.output += line


def _command(*words: str) -> list[str]:
    return [sys.executable, str(ROOT / "manage.py"), *words]


def _environment(data: Path, **more: object) -> dict[str, str]:
    given = {name: str(value) for name, value in more.items()}
    return {**os.environ, "AML_PORTAL_DATA": str(data), **given}


def _has_session(client: httpx.Client) -> bool:
    return any(
        cookie.name.startswith("aml_portal_session") for cookie in client.cookies.jar
    )


def _all_pids() -> list[int]:
    return [
        int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()
    ]


def _is_about(pid: int, data: str) -> bool:
    """Whether the process was started with this data folder, or is at home in it."""
    process = Path("/proc") / str(pid)
    try:
        words = (process / "cmdline").read_bytes()
        surroundings = (process / "environ").read_bytes()
        folder = str((process / "cwd").readlink())
    except OSError:
        return False
    mentions = os.fsencode(data)
    return mentions in words or mentions in surroundings or folder.startswith(data)
