"""Submits runs to a real portal over HTTP, and looks at what became of them."""

import hashlib
import io
import json
import sqlite3
import uuid
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.services.portal import Portal
from tests.waiting import eventually

FINAL = {"Completed", "Failed", "Canceled"}


@dataclass(frozen=True)
class SubmittedRun:
    """A run of a portal; looks at the database and the mirror, not at pages."""

    portal: Portal
    run_id: str

    @property
    def mirror(self) -> Path:
        return self.portal.data / "runs" / self.run_id

    @property
    def status(self) -> str:
        return str(self.column("status"))

    def column(self, name: str) -> Any:
        return _query(
            self.portal, f"SELECT {name} FROM runs_run WHERE run_id = ?", self.run_id
        )[0][0]

    def events(self) -> list[tuple[str, str]]:
        """The states and sentences of the timeline."""
        return _query(
            self.portal,
            "SELECT e.status, e.detail FROM runs_runevent e JOIN runs_run r"
            " ON r.id = e.run_id WHERE r.run_id = ? ORDER BY e.id",
            self.run_id,
        )

    def wait_for(self, *statuses: str, timeout: float = 60) -> str:
        eventually(
            lambda: self.status in statuses,
            f"{self.run_id} is {' or '.join(statuses)} (it is {self.status})",
            timeout,
        )
        return self.status

    def wait_for_end(self, timeout: float = 60) -> str:
        return self.wait_for(*FINAL, timeout=timeout)

    def log(self) -> bytes:
        path = self.mirror / "logs" / "std_log.txt"
        return path.read_bytes() if path.exists() else b""

    def log_digest(self) -> str:
        return hashlib.sha256(self.log()).hexdigest()

    def output(self, name: str) -> str:
        return (self.mirror / "files" / name).read_text()

    def exit_record(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads((self.mirror / "exit.json").read_text())
        return record


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as out:
        for name, content in files.items():
            out.writestr(name, content)
    return archive.getvalue()


def upload(client: httpx.Client, files: Mapping[str, str | bytes]) -> str:
    """Send a folder as a zip; the snapshot's id."""
    answer = client.post("/runs/snapshots/?name=source.zip", content=zipped(files))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["snapshot"])


def submit(
    portal: Portal,
    client: httpx.Client,
    *,
    script: str | bytes = "",
    snapshot: str = "",
    arguments: tuple[str, ...] = (),
    token: str = "",
    **fields: str,
) -> SubmittedRun:
    """Submit a script, or one called train.py of a snapshot, as the form does."""
    form = {
        "token": token or str(uuid.uuid4()),
        "snapshot": snapshot or upload(client, {"train.py": script}),
        "script": "train.py",
        "experiment": "tests",
        "arguments": json.dumps(arguments),
        "environment": "1",
        "target": "1",
        "max_duration": "1h",
        "grace": "5s",
        **fields,
    }
    answer = client.post("/runs/new/", data=form, follow_redirects=False)
    assert answer.status_code == 302, f"{answer.status_code} {answer.text[:3000]}"
    return SubmittedRun(portal, answer.headers["Location"].strip("/").split("/")[-1])


def set_places(portal: Portal, count: int) -> None:
    """How many runs the portal's machine takes at a time."""
    with sqlite3.connect(portal.data / "db.sqlite3", timeout=20) as database:
        database.execute("UPDATE computes_computetarget SET max_runs = ?", [count])
    database.close()


def _query(portal: Portal, statement: str, *values: object) -> list[tuple[Any, ...]]:
    database = sqlite3.connect(f"file:{portal.data}/db.sqlite3?mode=ro", uri=True)
    try:
        return database.execute(statement, values).fetchall()
    finally:
        database.close()
