"""Sweeping again and again while others send, submit, lay out and delete."""

import os
import random
import threading
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from computes.hosts.local import LocalHost
from runs import execution, services
from runs.models import Run
from runs.status import RunStatus
from runs.storage import store
from runs.sweep import sweep_snapshots
from tests import factories
from tests.runs.sources import zipped
from tests.runs.test_submit_views import typed
from tests.runs.test_upload_views import offer, send, sha256
from tests.services.monitor import spec_of

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_server"),
]

# For a day. Of those who submit, none may be held up for so long by the other tests.
_AGE = timedelta(seconds=2)
_CONTENTS = [b"content %d" % number for number in range(12)]
_ENOUGH = 60


class Meanwhile:
    """The threads of a test, which end when enough was removed or one has failed."""

    def __init__(self) -> None:
        self.removed = self.submitted = 0
        self.failures: list[str] = []

    def is_over(self) -> bool:
        return self.removed >= _ENOUGH or bool(self.failures)

    def run(self, *works: Callable[[], None]) -> None:
        threads = [threading.Thread(target=self._repeat, args=[w]) for w in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(90)
        assert not self.failures, self.failures[0]

    def _repeat(self, work: Callable[[], None]) -> None:
        try:
            while not self.is_over():
                work()
        except BaseException:
            self.failures.append(traceback.format_exc())
        finally:
            connection.close()


def some_files(chance: random.Random) -> dict[str, bytes]:
    chosen = chance.sample(_CONTENTS, chance.randrange(1, 5))
    return {"train.py": chosen[0], **{f"{n}.txt": d for n, d in enumerate(chosen)}}


def sent(client: Client, files: dict[str, bytes]) -> str:
    """The snapshot of `files`, sent as a page does or as an archive."""
    if len(files) == 2:
        body = zipped(files)
        kind = "application/octet-stream"
        answer = client.post("/runs/snapshots/?name=a.zip", body, content_type=kind)
        return str(answer.json()["snapshot"])
    while not (found := offer(client, files))["snapshot"]:
        lacking = set(found["missing"])
        send(client, *(each for each in files.values() if sha256(each) in lacking))
    return str(found["snapshot"])


def check(run: Run, jobs: Path) -> None:
    """What a worker does with the snapshot of a run."""
    execution._stage(run, LocalHost(jobs), spec_of(run))
    work = jobs / run.run_id / "work"
    assert (work / "train.py").read_bytes() == (work / "0.txt").read_bytes()


def test_nothing_that_a_run_has_is_lost(settings: Settings, tmp_path: Path) -> None:
    settings.OBJECTS_FOLDER = tmp_path / "objects"
    factories.target(max_runs=10**6), factories.this_python()
    owner = factories.person()
    meanwhile = Meanwhile()

    def submit() -> None:
        """Send, submit and lay out; delete the run, or leave it."""
        chance = random.Random()
        client = factories.signed_in(owner)
        snapshot = sent(client, some_files(chance))
        if chance.random() < 0.3:
            return
        answer = client.post("/runs/new/", typed(snapshot=snapshot))
        assert answer.status_code == 302, answer.content
        run = Run.objects.get(run_id=answer.headers["Location"].split("/")[-2])
        check(run, tmp_path / "jobs")
        meanwhile.submitted += 1
        if chance.random() < 0.9:
            Run.objects.filter(pk=run.pk).update(
                status=RunStatus.COMPLETED, cleaned_at=timezone.now()
            )
            run.refresh_from_db()
            services.delete_run(run)

    def sweep() -> None:
        for _, entry in store().objects():
            # As if all had come long ago; else nothing would be set aside for an age.
            os.utime(entry.path, (1, 1))
        meanwhile.removed += sweep_snapshots(age=_AGE).objects.removed.files

    meanwhile.run(sweep, submit, submit, submit)
    assert meanwhile.removed >= _ENOUGH
    assert meanwhile.submitted > 10
    for run in Run.objects.all():
        check(run, tmp_path / "again")
