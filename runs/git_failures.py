"""What git and a server say when a repository can't be fetched, as sentences."""

import re
from collections.abc import Iterable

from aml_portal.errors import UserError
from runs.git_command import GitError, TooMuchError, TooSlowError
from runs.git_remotes import Remote
from runs.snapshots.names import show

_MENU = "under Git credentials, in the menu of your account"
_KEEP = f"keep a credential for {{host}} {_MENU}"
_NO_REPOSITORY = "There is no repository at this address of {host}, or it is private."
_SILENT = "The server of {host} did not answer, or became silent."
_AGAIN = "Try again in a moment, or ask those who run it."
_REFUSED = r"Authentication failed|could not read (Username|Password)|error: 40[13]"
# What is found first counts.
_SENTENCES = [
    (
        _REFUSED,
        "{host} wants credentials for this repository, or there is no such repository.",
        f"Check the address, and {_KEEP}.",
    ),
    (
        r"(?i)repository .*not found|error: 404|does not appear to be a git repository",
        _NO_REPOSITORY,
        f"Check the address, or {_KEEP}.",
    ),
    (
        r"error: 30\d|redirect",
        "{host} says that the repository is at another address.",
        "Give the address that its page offers for cloning; it often ends in .git.",
    ),
    (
        r"certificate|SSL|TLS",
        "The certificate of {host} is not one that the portal trusts.",
        "Ask an administrator of the portal to look at it.",
    ),
    (r"too slow|timed? ?out|Empty reply|hung up", _SILENT, _AGAIN),
    (
        r"dumb http",
        "The server of {host} knows only an old way to give out a repository.",
        "It has to speak git's “smart” protocol, in which one commit can be asked for.",
    ),
    (
        r"Could not connect|Couldn't connect|Failed to connect|refused|unreachable",
        "The server of {host} can't be reached from the portal.",
        _AGAIN,
    ),
    (
        r"[Oo]ut of memory|cannot allocate memory",
        "The repository has an object that takes more memory than the portal gives it.",
        "Name another commit, or a repository without it.",
    ),
    (
        r"No space left",
        "The disk of the portal is full.",
        "Ask an administrator to free some space, then try again.",
    ),
]
# What runs/git_ssh.py says, or a host of git in its own words.
_OVER_SSH = [
    (
        "portal: HostKeyChangedError",
        "{host} shows another key than the one that you confirmed: beware.",
        f"If those who run it say that they changed it, add your SSH key anew {_MENU}.",
    ),
    (
        "portal: TargetError|(?i:permission denied)",
        "{host} refuses your SSH key, or the key does not reach this repository.",
        f"Add its public half there, or another key {_MENU}.",
    ),
    ("portal: (TargetAway|Timeout)Error", _SILENT, _AGAIN),
]
# Of git itself: what a server says could hold anything.
_LAST = re.compile(r"^(?:fatal|error): (?!remote)(.*)$", re.MULTILINE)


def explained(error: GitError, remote: Remote, *, has_login: bool) -> UserError:
    """`error` of a git that was to fetch from `remote`, for who asked for that."""
    host = remote.place
    if isinstance(error, TooSlowError):
        return UserError(_SILENT.format(host=host), _AGAIN)
    if isinstance(error, TooMuchError):
        return UserError("The repository has more names than the portal reads.")
    for pattern, message, advice in _sentences(remote, has_login=has_login):
        if re.search(pattern, error.output):
            return UserError(message.format(host=host), advice.format(host=host))
    said = _LAST.findall(error.output)
    what = f", which says: “{show(said[-1].strip())}”" if said else ""
    return UserError(f"git could not fetch from {host}{what}.", "Check the address.")


def _sentences(remote: Remote, *, has_login: bool) -> Iterable[tuple[str, str, str]]:
    if remote.scheme == "http":
        yield (
            _REFUSED,
            "{host} wants credentials, which are not sent over http://.",
            "Give the https:// address.",
        )
    if remote.scheme == "ssh":
        yield from _OVER_SSH
    if has_login:
        yield (
            _REFUSED,
            "{host} refuses your credential, or it does not reach this repository.",
            f"Add it anew {_MENU}.",
        )
    yield from _SENTENCES
