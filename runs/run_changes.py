"""What changed in source and environment of a run, against those that it follows."""

from dataclasses import dataclass

from environments.package_changes import PackageChange, package_changes
from runs.diff_address import DiffAddress, address_in
from runs.models import Run
from runs.requests import PageRequest
from runs.snapshot_changes import snapshot_changes
from runs.snapshots import SnapshotError


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """A run to compare with: the `key` for addresses, and what it is to the run."""

    key: str
    label: str
    run: Run

    @property
    def name(self) -> str:
        """Short where the experiment is understood."""
        return f"#{self.run.number}" if self.key == "previous" else str(self.run)


@dataclass(frozen=True, kw_only=True)
class RunChanges:
    """The runs that one can be compared with, and how it differs from the `chosen`."""

    earlier: list[Earlier]
    chosen: Earlier
    at: DiffAddress
    count: int
    packages: list[PackageChange]
    has_another_environment: bool
    problem: str = ""


def run_changes(request: PageRequest, run: Run) -> RunChanges | None:
    """None if the run is the first. Finds which files differ, but not how."""
    earlier = _earlier(run)
    if not earlier:
        return None
    since = request.GET.get("since")
    chosen = next((each for each in earlier if each.key == since), earlier[0])
    at = address_in(request, chosen.run.snapshot, run.snapshot)
    count, problem = 0, ""
    try:
        count = len(snapshot_changes(at.before, at.after).all)
    except SnapshotError as error:
        problem = str(error)
    return RunChanges(
        earlier=earlier,
        chosen=chosen,
        at=at,
        count=count,
        packages=package_changes(chosen.run.lock, run.lock),
        has_another_environment=chosen.run.environment_id != run.environment_id,
        problem=problem,
    )


def _earlier(run: Run) -> list[Earlier]:
    previous, parent = run.previous, None
    if run.parent_id and (previous is None or run.parent_id != previous.pk):
        runs = Run.objects.select_related(
            "experiment", "snapshot", "environment", "lock"
        )
        parent = runs.get(pk=run.parent_id)
    found = {"previous": ("Previous run", previous), "parent": ("Parent run", parent)}
    return [
        Earlier(key=key, label=label, run=other)
        for key, (label, other) in found.items()
        if other is not None
    ]
