"""What can be wrong with a source, and with the disk that is to keep it."""

from collections.abc import Iterator
from contextlib import contextmanager

from aml_portal.errors import FULL_DISK, UserError


class SnapshotError(UserError):
    """A source that can't become a snapshot, or a snapshot that can't be read."""


class TooLargeError(SnapshotError):
    """More bytes than allowed; whoever knows the whole says so in its own words."""


@contextmanager
def full_disk_told() -> Iterator[None]:
    """Turn the errors of a full disk into a SnapshotError."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        raise SnapshotError(
            "The disk of the portal is full.",
            "Ask an administrator to free some space, then try again.",
        ) from error
