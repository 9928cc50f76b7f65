"""The errors a person may see: what happened, and what to do about it."""

import errno

# What the system says of a full disk; the last is for a limit on the size of files.
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class PortalError(Exception):
    """An expected failure with words for a person.

    `message` says what happened, `advice` what to do; both are whole sentences. `said`
    is all that a program has printed of it, for who wants to know more.
    Anything else that is raised is a bug and is shown as an error id only.
    """

    def __init__(self, message: str, advice: str = "", *, said: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
        self.said = said

    def __str__(self) -> str:
        return f"{self.message} {self.advice}".strip()


class UserError(PortalError):
    """What was asked for can't be done as asked: the person can change it."""


class TargetError(PortalError):
    """A compute target did not do what it should."""
