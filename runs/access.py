"""The one gate to runs and snapshots: views and sockets get them only here.

Whoever is signed in belongs to the workspace and sees all runs; a run is changed by
its owner and by administrators.
"""

from typing import TYPE_CHECKING

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from runs.models import Run, RunQuerySet, Snapshot

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User


def get_run(request: HttpRequest, run_id: str, *, write: bool = False) -> Run:
    """The run, or 404; 403 if `write` and the person may not change it."""
    run = get_object_or_404(Run.objects.with_names().with_way(), run_id=run_id)
    if write and not may_change(request.user, run):
        raise PermissionDenied("Only the owner of a run or an administrator may.")
    return run


def get_snapshot(sha256: str) -> Snapshot:
    """The snapshot, or 404; the whole workspace sees it, as it does the runs."""
    return get_object_or_404(Snapshot, pk=sha256)


def may_change(user: "User | AnonymousUser", run: Run) -> bool:
    return bool(user.is_staff or run.owner_id == user.pk)


def changeable(user: "User | AnonymousUser", runs: RunQuerySet) -> RunQuerySet:
    """Those of `runs` that the person may change."""
    return runs if user.is_staff else runs.filter(owner_id=user.pk)
