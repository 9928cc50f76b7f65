"""Snapshots: source folders kept by content, apart from the database and from HTTP."""

from runs.snapshots.archives import read_folder, read_objects, read_once, read_upload
from runs.snapshots.collector import Intake
from runs.snapshots.errors import SnapshotError
from runs.snapshots.limits import Limits
from runs.snapshots.manifest import Entry, Manifest
from runs.snapshots.names import safe_path
from runs.snapshots.offers import LONGEST_OFFER, SHA256, read_offer
from runs.snapshots.partials import OtherPlaceError, Partials
from runs.snapshots.store import Store
from runs.snapshots.sweep import InUse, Sum, Sweep, sweeping
from runs.snapshots.zips import zip_folder, zip_snapshot

__all__ = [
    "LONGEST_OFFER",
    "SHA256",
    "Entry",
    "InUse",
    "Intake",
    "Limits",
    "Manifest",
    "OtherPlaceError",
    "Partials",
    "SnapshotError",
    "Store",
    "Sum",
    "Sweep",
    "read_folder",
    "read_objects",
    "read_offer",
    "read_once",
    "read_upload",
    "safe_path",
    "sweeping",
    "zip_folder",
    "zip_snapshot",
]
