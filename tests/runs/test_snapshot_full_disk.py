"""A full disk: told in a sentence by each way that writes, and nothing half is left.

The system says of a file above a limit what it says of a full disk.
"""

import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """
import hashlib, io, os, pathlib, resource, signal, sys, tarfile
from runs.snapshots import *
store = Store(pathlib.Path(sys.argv[1]))
limits = Limits(max_bytes=10**8, max_files=10_000)
data = os.urandom(400_000)
sha256 = hashlib.sha256(data).hexdigest()
out = io.BytesIO()
with tarfile.open(fileobj=out, mode="w") as archive:
    info = tarfile.TarInfo(sha256)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))
sent = io.BytesIO(out.getvalue())
many = Manifest.of(
    Entry(path=f"{n}.py", size=5, sha256=f"{n:064x}") for n in range(3000)
)
kept = {path for path in store.path(sha256).parent.parent.rglob("*") if path.is_file()}
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    match sys.argv[2]:
        case "content":
            store.put(io.BytesIO(data))
        case "objects":
            read_objects(sent, store, limits)
        case "archive":
            read_upload(sent, store, limits, name="a.tar")
        case "piece":
            Partials(store, "1").add(sha256, len(data), 0, io.BytesIO(data))
        case "manifest":
            store.put_manifest(many)
except SnapshotError as error:
    print(error.message, error.advice)
left = {path for path in store.path(sha256).parent.parent.rglob("*") if path.is_file()}
print([path.stat().st_size for path in left - kept if path.stat().st_size])
"""


@pytest.mark.parametrize("way", ["content", "objects", "archive", "piece", "manifest"])
def test_a_full_disk_is_said_and_nothing_half_is_left(tmp_path: Path, way: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, tmp_path / "objects", way],
        capture_output=True,
        text=True,
        check=True,
    )
    said, left = done.stdout.splitlines()
    assert said == (
        "The disk of the portal is full."
        " Ask an administrator to free some space, then try again."
    )
    assert left == "[]"
