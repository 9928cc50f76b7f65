"""Fetches git repositories as sources: asked for by a page, carried out by an RQ job.

The row says how far it is. The job may be killed at any line and be run again: what it
had fetched is removed, and it begins anew.
"""

import logging
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F
from django.utils import timezone

from aml_portal.errors import PortalError, UserError
from aml_portal.queues import enqueue, imports_queue, job_name
from runs.git_credentials import login_for
from runs.git_facts import GitFacts
from runs.git_fetch import Fetched, Wanted, fetch
from runs.git_models import MOST_AT_ONCE
from runs.git_remotes import Remote, checked_folder, checked_reference
from runs.leases import held, holding
from runs.models import GitImport
from runs.services import keep_snapshot
from runs.snapshots import Intake, read_once
from runs.storage import limits, store
from runs.transfers import Arrival, Transfer
from runs.uploads import Upload

if TYPE_CHECKING:
    from django.contrib.auth.models import User

_log = logging.getLogger(__name__)

# An import whose process was killed is taken up again after this many seconds.
_LEASE = 10.0
_MOST_ATTEMPTS = 3
# Seconds between two looks whether somebody has stopped it.
_BEAT = 1.0
_KEPT_FOR = timedelta(days=1)
_POINTER = b"version https://git-lfs.github.com/spec/v1"
_LARGEST_POINTER = 1024


def ask_for(
    owner: "User", *, address: str, reference: str = "", folder: str = ""
) -> GitImport:
    """Have a commit of a repository fetched. Raises UserError."""
    remote = Remote.parse(address)
    asked = {
        "address": remote.url,
        "reference": checked_reference(reference),
        "folder": checked_folder(folder),
    }
    own = GitImport.objects.filter(owner=owner)
    own.filter(created_at__lt=timezone.now() - _KEPT_FOR).delete()
    if own.unfinished().count() >= MOST_AT_ONCE:
        raise UserError(
            f"{MOST_AT_ONCE} repositories are being fetched for you already.",
            "Wait until one is there, or stop one.",
        )
    with transaction.atomic():
        asked_for = GitImport.objects.create(owner=owner, **asked)
        enqueue_import(asked_for)
    return asked_for


def stop(asked_for: GitImport) -> None:
    asked_for.settle(GitImport.State.STOPPED)


def enqueue_import(asked_for: GitImport) -> None:
    """Each time under a new id, since RQ may hold the last one for lost yet."""
    GitImport.objects.filter(pk=asked_for.pk).update(attempts=F("attempts") + 1)
    asked_for.refresh_from_db(fields=["attempts"])
    transaction.on_commit(
        lambda: enqueue(
            imports_queue(),
            "runs.tasks.import_repository",
            import_job(asked_for),
            asked_for.pk,
        )
    )


def import_job(asked_for: GitImport) -> str:
    return job_name("import", asked_for.pk, asked_for.attempts)


def import_lease(import_pk: int) -> str:
    return f"import-{import_pk}"


def carry_out(import_pk: int) -> None:
    """Fetch what was asked for, unless it is there, stopped, or just being fetched."""
    with holding(import_lease(import_pk), _LEASE) as free:
        waiting = GitImport.objects.unfinished().select_related("owner")
        asked_for = waiting.filter(pk=import_pk).first() if free else None
        if asked_for is None:
            return
        try:
            with _place(import_pk) as place:
                _carry_out(asked_for, place)
        except (OperationalError, InterfaceError):
            # The database is busy or away: the reconciler comes back to it.
            raise
        except PortalError as error:
            _fail(asked_for, error)
        except OSError as error:
            _fail(asked_for, _told(error))
        except Exception:
            mark = uuid.uuid4().hex[:8]
            _log.exception("Import %d failed (error %s)", import_pk, mark)
            told = f"The portal made an error; its log has it as {mark}."
            _fail(asked_for, PortalError(told, "Tell an administrator."))


def _carry_out(asked_for: GitImport, place: Path) -> None:
    if asked_for.attempts > _MOST_ATTEMPTS:
        raise PortalError(
            "The portal was interrupted each time it fetched the repository.",
            "Try again; if it happens once more, tell an administrator.",
        )
    if not asked_for.settle(GitImport.State.FETCHING, received_bytes=0):
        return
    wanted = Wanted(
        remote=Remote.parse(asked_for.address),
        reference=asked_for.reference,
        folder=asked_for.folder,
    )
    fetched = fetch(
        wanted,
        place,
        limits=limits(),
        login=login_for(asked_for.owner, wanted.remote),
        watch=_Watch(asked_for),
    )
    intake = read_once(fetched.folder, store(), limits())
    _keep(asked_for, wanted, fetched, intake)


@transaction.atomic
def _keep(
    asked_for: GitImport, wanted: Wanted, fetched: Fetched, intake: Intake
) -> None:
    name = "/".join(filter(None, (wanted.remote.name, wanted.folder)))
    snapshot = keep_snapshot(intake.manifest, name)
    git = GitFacts(
        repository=wanted.remote.url,
        branch=fetched.branch,
        commit=fetched.commit,
        dirty=False,
    )
    transfer = Transfer.of(intake.manifest, intake.new)
    asked_for.settle(
        GitImport.State.DONE,
        arrival=Arrival(transfer=transfer, git=git).to_json(),
        answer={
            **Upload(snapshot=snapshot, name=name, intake=intake).to_json(),
            "branch": git.branch,
            "commit": git.commit,
            "submodules": fetched.submodules,
            "pointers": _pointers(intake),
        },
    )


class _Watch:
    """Writes down how much has come, and ends the fetching that a person stopped."""

    def __init__(self, asked_for: GitImport) -> None:
        self._asked_for = asked_for
        self._looked = time.monotonic()

    def __call__(self, received: int) -> UserError | None:
        if time.monotonic() - self._looked < _BEAT:
            return None
        self._looked = time.monotonic()
        # Busy for once: the next look comes soon.
        with suppress(OperationalError, InterfaceError):
            try:
                if not self._asked_for.settle(
                    GitImport.State.FETCHING, received_bytes=received
                ):
                    return UserError("The fetching was stopped.")
            finally:
                # It is that of a thread which will not end it.
                connection.close()
        return None


@contextmanager
def _place(import_pk: int) -> Iterator[Path]:
    """A folder for one import, without those that killed processes have left."""
    parent: Path = settings.IMPORTS_FOLDER
    parent.mkdir(mode=0o700, exist_ok=True)
    leases = {path: import_lease(_import_of(path)) for path in parent.iterdir()}
    others = held(set(leases.values()) - {import_lease(import_pk)})
    for path, lease in leases.items():
        if lease not in others:
            shutil.rmtree(path, ignore_errors=True)
    place = Path(tempfile.mkdtemp(prefix=f"{import_pk}-", dir=parent))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _import_of(path: Path) -> int:
    number = path.name.partition("-")[0]
    return int(number) if number.isdecimal() else 0


def _pointers(intake: Intake) -> list[str]:
    """The files in whose place Git LFS keeps a pointer to their content."""
    found = []
    for entry in intake.manifest.files:
        if len(_POINTER) < entry.size <= _LARGEST_POINTER:
            with store().open(entry.sha256) as file:
                if file.read(len(_POINTER)) == _POINTER:
                    found.append(entry.path)
    return found


def _fail(asked_for: GitImport, error: PortalError) -> None:
    asked_for.settle(GitImport.State.FAILED, message=error.message, advice=error.advice)


def _told(error: OSError) -> PortalError:
    what = error.strerror or error
    return PortalError(f"The portal could not keep the repository: {what}.")
