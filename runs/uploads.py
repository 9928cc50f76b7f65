"""Takes the source that a browser sends, and says what came of it."""

import shutil
import tempfile
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.http import HttpRequest

from runs.models import Snapshot
from runs.services import keep_snapshot
from runs.snapshots import Intake, read_folder, read_upload
from runs.storage import limits, store

_SHOWN_LEFT_OUT = 100
_DIGITS = settings.BASE_DIR / "examples" / "digits"


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A source that is kept now, and what was different in what came."""

    snapshot: Snapshot
    # The snapshot has the name under which its content came first.
    name: str
    intake: Intake

    def to_json(self) -> dict[str, Any]:
        files = [entry.path for entry in self.intake.manifest.files]
        return {
            "snapshot": self.snapshot.id,
            "name": self.name,
            "files": files,
            "scripts": likely_scripts(files),
            "bytes": self.intake.manifest.total_bytes,
            "left_out": list(self.intake.left_out)[:_SHOWN_LEFT_OUT],
            "left_out_count": len(self.intake.left_out),
            "flattened": self.intake.flattened,
        }


def take_upload(stream: BinaryIO, name: str) -> Upload:
    """Keep an archive, or a single file called `name`. Raises UserError."""
    intake = read_upload(stream, store(), limits(), name=name)
    title = intake.flattened or name
    snapshot = keep_snapshot(intake.manifest, title)
    return Upload(snapshot=snapshot, name=title, intake=intake)


def take_body(request: HttpRequest, name: str) -> Upload:
    """Keep the source that is the body of the request. Raises UserError."""
    with _seekable(request) as stream:
        return take_upload(stream, name)


def take_example() -> Snapshot:
    """The snapshot of the example that comes with the portal."""
    return keep_snapshot(read_folder(_DIGITS, store(), limits()).manifest, "digits")


def likely_scripts(paths: list[str]) -> list[str]:
    """The Python files, those at the top first."""
    scripts = [path for path in paths if PurePosixPath(path).suffix == ".py"]
    return sorted(scripts, key=lambda path: (path.count("/"), path))


def _seekable(request: HttpRequest) -> AbstractContextManager[BinaryIO]:
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
