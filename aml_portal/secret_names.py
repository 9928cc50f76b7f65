"""Which values are not shown to everybody: by their names, and within addresses."""

import re
from collections.abc import Mapping

# Read by the browser too: only what Python and JavaScript understand alike.
MASKED_NAMES = (
    r"(?:^|[_.-])(?:pass|passwd|passwords?|passphrase|pwd|secrets?|token|(?:api)?_?keys?"
    r"|credentials?|auth|sas|cookie|dsn)(?:$|[_.-])"
)
_MASKED_NAMES = re.compile(MASKED_NAMES, re.IGNORECASE)
_ACCOUNT = re.compile(r"//[^/@\s]*@")


def looks_secret(name: str) -> bool:
    return bool(_MASKED_NAMES.search(name))


def secrets_among(variables: Mapping[str, str]) -> list[str]:
    """The names of those that have a value which looks like a secret."""
    return [name for name, value in variables.items() if value and looks_secret(name)]


def without_passwords(text: str) -> str:
    """A text in which no address has what signs in to it."""
    return _ACCOUNT.sub("//…@", text)
