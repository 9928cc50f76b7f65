"""Which values are secrets by the look of their names."""

import re

# Read by the browser too: only what Python and JavaScript understand alike.
MASKED_NAMES = (
    r"(?:^|[_.-])(?:pass|passwd|passwords?|passphrase|pwd|secrets?|token|(?:api)?_?keys?"
    r"|credentials?|auth|sas|cookie|dsn)(?:$|[_.-])"
)
_MASKED_NAMES = re.compile(MASKED_NAMES, re.IGNORECASE)


def looks_secret(name: str) -> bool:
    return bool(_MASKED_NAMES.search(name))
