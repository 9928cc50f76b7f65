"""The keys of the vault: those that the settings give, or those of a file made here.

Secrets are encrypted with the first; all of them open what was encrypted before.
"""

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings

from aml_portal.errors import PortalError

# The one before the newest stays: with it, a process may have encrypted something in
# the moment in which the newest was made.
_KEPT = 2


def fernet() -> MultiFernet:
    """What encrypts and decrypts, with the keys as they are now. Raises PortalError."""
    try:
        return MultiFernet([Fernet(key) for key in read_keys()])
    except ValueError as error:
        raise PortalError(
            f"There is something else than vault keys in {_file()}.",
            "Put the file back as it was; without it, kept secrets are lost.",
        ) from error


def read_keys() -> list[str]:
    """The newest first. The file is made at the first need."""
    if are_given():
        return list(settings.VAULT_KEYS)
    file = _file()
    if not file.exists():
        # Somebody else may be quicker, and then has made the one that counts.
        with suppress(FileExistsError):
            _write([Fernet.generate_key().decode("ascii")], replace=False)
    if file.stat().st_mode & 0o077:
        raise PortalError(
            f"{file} can be read by others, and is not used.",
            "Take their rights away (chmod 600), and rotate the keys.",
        )
    return file.read_text(encoding="ascii").split()


def are_given() -> bool:
    """Whether the settings have the keys; then nothing is written here."""
    return bool(settings.VAULT_KEYS)


@contextmanager
def new_key() -> Iterator[None]:
    """Make a key, and once the block has encrypted all with it, drop the old ones.

    One process at a time. If it is interrupted, all keys stay until the next time.
    """
    if are_given():
        yield
        return
    lock = os.open(_file().with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _write([Fernet.generate_key().decode("ascii"), *read_keys()])
        yield
        _write(read_keys()[:_KEPT])
    finally:
        os.close(lock)


def _file() -> Path:
    file: Path = settings.DATA / "vault_keys"
    return file


def _write(keys: list[str], *, replace: bool = True) -> None:
    """Write the file whole; it is on the disk before anything is encrypted with it."""
    file = _file()
    fresh = file.with_name(f"{file.name}.{uuid.uuid4().hex}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as new:
            new.write("".join(f"{key}\n" for key in keys))
            new.flush()
            os.fsync(new.fileno())
        if replace:
            fresh.replace(file)
        else:
            file.hardlink_to(fresh)
    finally:
        fresh.unlink(missing_ok=True)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
