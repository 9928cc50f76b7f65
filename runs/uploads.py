"""Takes the source that a browser sends, and says what came of it."""

import shutil
import tempfile
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.http import HttpRequest

from aml_portal.errors import UserError
from runs.git_facts import GitFacts, read_facts
from runs.models import Snapshot
from runs.services import keep_snapshot
from runs.snapshots import (
    LONGEST_OFFER,
    Entry,
    Intake,
    Manifest,
    read_folder,
    read_offer,
    read_upload,
)
from runs.snapshots.names import show
from runs.storage import limits, read_manifest, store
from runs.transfers import Arrival, Transfer, remember

_SHOWN_LEFT_OUT = 1000
_DIGITS = settings.BASE_DIR / "examples" / "digits"


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A source that was read here and is kept now, and what was different in it."""

    snapshot: Snapshot
    # The snapshot has the name under which its content came first.
    name: str
    intake: Intake

    def to_json(self) -> dict[str, Any]:
        left_out = islice(self.intake.left_out.items(), _SHOWN_LEFT_OUT)
        return {
            **_summary(self.intake.manifest, self.name),
            "snapshot": self.snapshot.id,
            "left_out": [{"path": path, "rule": str(rule)} for path, rule in left_out],
            "left_out_count": len(self.intake.left_out),
            "secrets": self.intake.secrets,
            "flattened": self.intake.flattened,
        }


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A source that a client has; `snapshot` is None while some of it is `missing`."""

    manifest: Manifest
    name: str
    missing: list[Entry]
    snapshot: Snapshot | None

    def to_json(self) -> dict[str, Any]:
        return {
            **_summary(self.manifest, self.name),
            "snapshot": self.snapshot.id if self.snapshot else "",
            "missing": [entry.sha256 for entry in self.missing],
            "missing_bytes": sum(entry.size for entry in self.missing),
        }


def _summary(manifest: Manifest, name: str) -> dict[str, Any]:
    files = [entry.path for entry in manifest.files]
    return {
        "manifest": manifest.identity,
        "name": name,
        "files": files,
        "scripts": likely_scripts(files),
        "bytes": manifest.total_bytes,
    }


def take_upload(request: HttpRequest, stream: BinaryIO, name: str) -> Upload:
    """Keep an archive, or a single file called `name`. Raises UserError."""
    intake = read_upload(stream, store(), limits(), name=name)
    return _kept(request, intake, intake.flattened or name)


def _kept(
    request: HttpRequest, intake: Intake, name: str, git: GitFacts | None = None
) -> Upload:
    snapshot = keep_snapshot(intake.manifest, name)
    transfer = Transfer.of(intake.manifest, intake.new)
    arrival = Arrival(transfer=transfer, git=git or GitFacts())
    remember(request.session, snapshot.id, arrival)
    return Upload(snapshot=snapshot, name=name, intake=intake)


def take_offer(request: HttpRequest, name: str) -> Offer:
    """Look what of the manifest in the body is lacking; keep it, if nothing is.

    How much had to be sent is remembered for the run. Raises UserError.
    """
    with body_of(request) as body:
        manifest = read_offer(body.read(LONGEST_OFFER), limits())
    store().put_manifest(manifest)
    missing = store().lacking(manifest)
    transfer = Transfer.of(manifest, {entry.sha256 for entry in missing})
    remember(request.session, manifest.identity, Arrival(transfer=transfer))
    return Offer(
        manifest=manifest,
        name=name,
        missing=missing,
        snapshot=None if missing else keep_snapshot(manifest, name),
    )


def take_body(request: HttpRequest, name: str) -> Upload:
    """Keep the source that is the body of the request. Raises UserError."""
    with body_of(request) as stream:
        return take_upload(request, stream, name)


def take_folder(request: HttpRequest, path: str) -> Upload:
    """Keep a folder of this machine, inside the roots that the administrator allows.

    Raises UserError.
    """
    folder, root = _allowed(path)
    intake = read_folder(folder, store(), limits())
    git = read_facts(folder, {}, store(), within=root)
    return _kept(request, intake, folder.name, git)


def _allowed(path: str) -> tuple[Path, Path]:
    """The real folder at `path`, and the root that it is in, whatever links say."""
    roots = settings.SOURCE_ROOTS
    places = " or ".join(map(str, roots)) or "none yet"
    advice = f"Administrators allow folders below {places}."
    if not path.startswith("/"):
        raise UserError("The path of a folder begins with “/”.", advice)
    try:
        folder = Path(path).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        folder = None
    # Nothing is said about what lies outside, not even whether it is there.
    root = next((r for r in roots if folder and folder.is_relative_to(r)), None)
    if folder is None or root is None:
        raise UserError(f"“{show(path)}” is no folder that can be read.", advice)
    if not folder.is_dir():
        raise UserError(f"“{show(path)}” is no folder.", "Name the folder it is in.")
    return folder, root


def again(snapshot: Snapshot) -> Upload:
    """A snapshot that is kept already, as an upload. Raises UserError."""
    intake = Intake(manifest=read_manifest(snapshot))
    return Upload(snapshot=snapshot, name=snapshot.name, intake=intake)


def take_example() -> Snapshot:
    """The snapshot of the example that comes with the portal."""
    return keep_snapshot(read_folder(_DIGITS, store(), limits()).manifest, "digits")


def likely_scripts(paths: list[str]) -> list[str]:
    """The Python files, those at the top first."""
    scripts = [path for path in paths if PurePosixPath(path).suffix == ".py"]
    return sorted(scripts, key=lambda path: (path.count("/"), path))


def body_of(request: HttpRequest) -> AbstractContextManager[BinaryIO]:
    """The body as a file that can be sought in, which reading a zip archive needs.

    An ASGI server's requests have one inside, which saves writing everything twice.
    """
    body = getattr(request, "_stream", None)
    if isinstance(body, tempfile.SpooledTemporaryFile):
        return nullcontext(cast("BinaryIO", body))
    folder = str(settings.UPLOADS_FOLDER)
    copy = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
    shutil.copyfileobj(request, copy, 1024 * 1024)
    copy.seek(0)
    return cast("AbstractContextManager[BinaryIO]", copy)
