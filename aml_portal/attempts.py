"""How often someone may try to sign in."""

import hashlib
import logging

from django.core.cache import cache
from redis.exceptions import RedisError

_log = logging.getLogger(__name__)


class Attempts:
    """The attempts for one user name from one address.

    They are counted before the password is looked at, so that many at once can't slip
    through. Without Redis nobody is locked out: checking a password is slow enough.
    """

    MAXIMUM = 10
    MINUTES = 15

    def __init__(self, username: str, address: str) -> None:
        who = f"{username.casefold()}\n{address}".encode(errors="replace")
        self._key = f"sign-in-{hashlib.sha256(who).hexdigest()}"

    def take(self) -> bool:
        """Count one more; whether it is still allowed."""
        try:
            cache.add(self._key, 0, timeout=self.MINUTES * 60)
            return cache.incr(self._key) <= self.MAXIMUM
        except (RedisError, ValueError) as error:
            _log.warning("Attempts to sign in are not counted: %s", error)
            return True

    def forget(self) -> None:
        """The right password was given."""
        try:
            cache.delete(self._key)
        except RedisError as error:
            _log.warning("Attempts to sign in are not forgotten: %s", error)
