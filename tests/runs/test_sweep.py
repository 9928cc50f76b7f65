"""Sweeping: what nothing names goes, and nothing else, whatever happens meanwhile."""

import hashlib
import io
import json
import os
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from aml_portal.errors import PortalError, UserError
from aml_portal.queues import imports_queue
from computes.hosts.local import LocalHost
from computes.models import ComputeTarget
from runs import execution, services, tasks
from runs.dispatch import enqueue_daily_sweep
from runs.git_facts import GitFacts
from runs.models import Run, Snapshot
from runs.monitor import Monitor
from runs.preflight import preflight
from runs.snapshots import (
    Manifest,
    Store,
    read_objects,
    read_offer,
    sweeping,
)
from runs.status import RunStatus
from runs.storage import limits, read_manifest, store
from runs.sweep import Report, sweep_snapshots
from tests import factories
from tests.runs.sources import LIMITS, lay_out, read, tarred, zipped
from tests.runs.test_submit_views import typed
from tests.services.monitor import spec_of
from tests.services.redis import RedisServer
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_server")]

_NOW = timedelta(0)
_FILES = {"train.py": b"print(1)", "data/x": b"shared"}


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, settings: Settings) -> Store:
    settings.OBJECTS_FOLDER = tmp_path / "objects"
    return store()


def ended(files: dict[str, bytes]) -> Run:
    run = factories.submit(snapshot=factories.snapshot(files))
    Run.objects.filter(pk=run.pk).update(
        status=RunStatus.COMPLETED, cleaned_at=timezone.now()
    )
    run.refresh_from_db()
    return run


def sweep_all() -> Report:
    """Two sweeps that wait for nothing: aside, and away."""
    sweep_snapshots(age=_NOW)
    return sweep_snapshots(age=_NOW)


def set_all_aside(kept: Store) -> None:
    """What a sweep does to all that it knows of no row for."""
    for sha256, _ in kept.objects():
        kept.sweep_aside(sha256)
    assert list(kept.objects()) == []


def all_in(kept: Store) -> set[str]:
    return {sha256 for sha256, _ in [*kept.objects(), *kept.swept()]}


def named_by(run: Run) -> set[str]:
    manifest = store().read_manifest(run.snapshot_id)
    return {manifest.identity, *(entry.sha256 for entry in manifest.files)}


def test_deleting_a_run_keeps_what_others_use() -> None:
    one = ended({**_FILES, "one": b"of one alone"})
    other = ended({**_FILES, "other": b"of the other alone"})
    only_one = named_by(one) - named_by(other)
    kept = named_by(other)
    assert services.delete_run(one)
    sweep_all()
    assert all_in(store()) == kept
    assert len(only_one) == 2
    assert list(Snapshot.objects.all()) == [other.snapshot]
    work = store().new_folder / "work"
    lay_out(store().read_manifest(other.snapshot_id), store(), work)
    assert (work / "data/x").read_bytes() == b"shared"


def test_two_runs_of_one_snapshot_keep_it_until_both_are_gone() -> None:
    one, other = ended(_FILES), ended(_FILES)
    for run, is_left in ((one, True), (other, False)):
        services.delete_run(run)
        sweep_all()
        assert Snapshot.objects.exists() is is_left
        assert bool(all_in(store())) is is_left


def test_what_was_used_within_the_day_is_kept() -> None:
    snapshot = factories.snapshot(_FILES)
    run = ended({"train.py": b"deleted"})
    services.delete_run(run)
    there = all_in(store())
    assert sweep_snapshots().snapshots == 0
    assert all_in(store()) == there
    assert set(Snapshot.objects.values_list("pk", flat=True)) == {
        snapshot.pk,
        run.snapshot_id,
    }


def test_a_snapshot_that_is_sent_again_is_young_again() -> None:
    Snapshot.objects.filter(pk=factories.snapshot(_FILES).pk).update(
        used_at="2020-01-01T00:00Z"
    )
    factories.snapshot(_FILES)
    sweep_snapshots()
    assert Snapshot.objects.count() == 1


def test_what_is_set_aside_comes_back_to_whoever_asks_for_it(tmp_path: Path) -> None:
    kept = store()
    manifest = read(kept, zipped(_FILES)).manifest
    script = hashlib.sha256(b"print(1)").hexdigest()
    asks: tuple[Callable[[], object], ...] = (
        lambda: kept.has(script, 8),
        lambda: kept.lacking(manifest) == [],
        lambda: kept.open(script).read() == b"print(1)",
        lambda: kept.open_whole(script).read() == b"print(1)",
        lambda: not kept.put(io.BytesIO(b"print(1)")).is_new,
        lambda: read_objects(io.BytesIO(tarred({script: b"print(1)"})), kept, LIMITS),
        lambda: read(kept, zipped(_FILES)).new == set(),
    )
    for number, ask in enumerate(asks):
        set_all_aside(kept)
        assert not kept.path(script).exists()
        assert ask(), number
        assert kept.path(script).read_bytes() == b"print(1)"


def test_what_is_aside_is_removed_only_a_day_later() -> None:
    kept = store()
    sha256 = kept.put(io.BytesIO(b"nobody's")).sha256
    sweep_snapshots(age=_NOW)
    sweep_snapshots()
    assert all_in(kept) == {sha256}
    for _, entry in kept.swept():
        os.utime(entry.path, (time.time() - 90_000,) * 2)
    removed = sweep_snapshots().objects.removed
    assert (removed.files, removed.bytes) == (1, 8)
    assert all_in(kept) == set()


def test_what_a_row_names_by_now_comes_back_unasked() -> None:
    """The row was made right after a sweep had asked what is in use."""
    snapshot = factories.snapshot(_FILES)
    set_all_aside(store())
    # The sweep itself asks for the manifest.
    assert sweep_snapshots().objects.back.files == 2
    assert {sha256 for sha256, _ in store().objects()} == {
        snapshot.pk,
        *(hashlib.sha256(data).hexdigest() for data in _FILES.values()),
    }


def test_what_is_laid_out_comes_back_too(tmp_path: Path) -> None:
    run = ended(_FILES)
    set_all_aside(store())
    assert execution._stage(run, LocalHost(tmp_path), spec_of(run)) == ()
    work = tmp_path / run.run_id / "work"
    assert (work / "train.py").read_bytes() == b"print(1)"


def test_a_manifest_may_come_before_its_objects_and_these_before_it() -> None:
    kept = store()
    data = b"sent"
    sha256 = hashlib.sha256(data).hexdigest()
    offered = [{"path": "train.py", "size": len(data), "sha256": sha256}]
    manifest = read_offer(json.dumps(offered).encode(), limits())
    kept.put_manifest(manifest)
    sweep_snapshots(age=_NOW)
    assert preflight(manifest.identity, "").manifest == manifest
    kept.put(io.BytesIO(data))
    sweep_snapshots(age=_NOW)
    assert kept.lacking(manifest) == []
    assert kept.read_manifest(manifest.identity) == manifest


def test_a_form_that_is_too_late_is_told_so() -> None:
    client = factories.signed_in(factories.person())
    snapshot = factories.snapshot(_FILES)
    late = factories.submission(snapshot=snapshot)
    read_manifest(snapshot)
    sweep_all()
    with pytest.raises(UserError, match="The snapshot is gone"):
        services.submit_run(owner=factories.person(), submission=late)
    answer = client.post("/runs/new/", typed(snapshot=snapshot.pk))
    assert answer.status_code == 422
    assert "The snapshot is gone. Send it again." in answer.content.decode()
    assert not Run.objects.exists()


def test_a_patch_is_kept_as_long_as_its_run(client: Client) -> None:
    patch = store().put(io.BytesIO(b"diff")).sha256
    run = ended(_FILES)
    Run.objects.filter(pk=run.pk).update(git_patch=patch)
    sweep_all()
    assert store().open(patch).read() == b"diff"
    services.delete_run(Run.objects.get())
    sweep_all()
    assert store().size(patch) is None


def test_a_run_goes_without_a_patch_that_was_swept() -> None:
    patch = store().put(io.BytesIO(b"diff")).sha256
    sweep_all()
    facts = GitFacts(commit="a" * 40, dirty=True, patch=patch)
    run = factories.submit(git=facts)
    assert run.git_patch == ""
    assert run.properties["azureml.git.dirty"] == "True"


def test_a_dry_run_changes_nothing_and_tells_the_same() -> None:
    factories.snapshot(_FILES)
    ended({"train.py": b"2"})
    store().put(io.BytesIO(b"aside"))
    set_all_aside(store())
    store().put(io.BytesIO(b"fresh"))
    before = all_in(store()), Snapshot.objects.count()
    said = str(sweep_snapshots(age=_NOW, dry_run=True))
    assert (all_in(store()), Snapshot.objects.count()) == before
    assert str(sweep_snapshots(age=_NOW)) == said
    assert "Snapshots that no run has, removed: 1" in said


def test_a_damaged_manifest_stops_the_sweep_before_any_file_goes() -> None:
    run = ended(_FILES)
    store().put(io.BytesIO(b"nobody's"))
    store().path(run.snapshot_id).write_bytes(b"[]")
    before = all_in(store())
    with pytest.raises(
        PortalError, match=f"snapshot {run.snapshot_id} is missing or d"
    ):
        sweep_snapshots(age=_NOW)
    assert all_in(store()) == before - {run.snapshot_id}
    with pytest.raises(CommandError, match="submit its source once more"):
        call_command("sweep_snapshots")


def test_two_at_once_are_refused() -> None:
    with sweeping(store()), pytest.raises(PortalError, match="being swept already"):
        sweep_snapshots()
    sweep_snapshots()


def test_the_command_says_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    sha256 = store().put(io.BytesIO(b"x" * 2000)).sha256
    os.utime(store().path(sha256), (1, 1))
    call_command("sweep_snapshots", "--dry-run")
    tried = capsys.readouterr().out
    assert tried.startswith("Nothing was changed. ")
    assert store().path(sha256).exists()
    call_command("sweep_snapshots")
    done = capsys.readouterr().out
    assert tried.endswith(done)
    assert "set aside: 1 (2.0 kB)" in done
    assert not store().path(sha256).exists()


@pytest.mark.django_db(transaction=True)
def test_the_portal_sweeps_once_a_day(redis_server: RedisServer) -> None:
    redis_server.client.flushall()
    for _ in range(3):
        enqueue_daily_sweep()
    (job,) = imports_queue().jobs
    assert job.func_name == "runs.tasks.sweep_snapshots"
    os.utime(store().path(store().put(io.BytesIO(b"old")).sha256), (1, 1))
    tasks.sweep_snapshots()
    assert list(store().objects()) == []
    job.delete()


@pytest.mark.django_db(transaction=True)
def test_the_monitor_asks_for_it_once_all_has_started(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_server.client.flushall()
    monkeypatch.setattr("runs.monitor._SEEN_EVERY", 0.0)
    for seconds, queued in ((600.0, 0), (0.0, 1)):
        monkeypatch.setattr("runs.monitor._SWEEP_AFTER", seconds)
        target = factories.target()
        ComputeTarget.objects.update(last_seen_at=None)
        monitor = Monitor()
        thread = threading.Thread(target=monitor.run)
        thread.start()
        seen = ComputeTarget.objects.filter(pk=target.pk, last_seen_at__isnull=False)
        eventually(seen.exists, "the monitor has looked")
        monitor.stop()
        thread.join()
        names = [job.func_name for job in imports_queue().jobs]
        assert names.count("runs.tasks.sweep_snapshots") == queued
    redis_server.client.flushall()


def test_what_folders_hashed_to_is_forgotten_in_a_month(tmp_path: Path) -> None:
    seen = store().seen_folder
    seen.mkdir(parents=True)
    for name in ("old", "fresh"):
        (seen / name).touch()
    os.utime(seen / "old", (1, 1))
    sweep_snapshots()
    assert [path.name for path in seen.iterdir()] == ["fresh"]


_KILLED = """
import pathlib, sys, time
from runs.snapshots import InUse, Manifest, Store, Sweep, sweeping
store = Store(pathlib.Path(sys.argv[1]))
in_use = InUse()
for sha256 in sys.argv[2:]:
    in_use.add(sha256)
print("begins", flush=True)
while True:
    with sweeping(store):
        Sweep(store=store, in_use=in_use, before=time.time()).run()
    for number in range(50):
        store.put(__import__("io").BytesIO(b"%d" % number))
"""


@pytest.mark.parametrize("milliseconds", [0, 1, 2, 5, 10, 20, 40])
def test_a_sweep_that_is_killed_loses_nothing(milliseconds: int) -> None:
    kept = store()
    files = {"train.py": b"1", **{f"f{n}": os.urandom(50) for n in range(30)}}
    manifest: Manifest = read(kept, zipped(files)).manifest
    named = [manifest.identity, *(entry.sha256 for entry in manifest.files)]
    # As if each had been unused for a while.
    for sha256 in named[::2]:
        kept.sweep_aside(sha256)
    command = [sys.executable, "-c", _KILLED, str(kept.new_folder.parent), *named]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as sweeper:
        assert sweeper.stdout
        assert sweeper.stdout.readline() == b"begins\n"
        time.sleep(milliseconds / 1000)
        sweeper.kill()
    assert kept.lacking(kept.read_manifest(manifest.identity)) == []
    for sha256 in named:
        kept.open_whole(sha256).close()
    with sweeping(kept):
        pass
