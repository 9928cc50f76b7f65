"""`requirements.txt`: packages of pip, without a word on Python itself."""

import re

from aml_portal.errors import UserError
from environments.definition import DEFAULT_PYTHON, Definition
from environments.formats.pip_lines import check_line
from environments.formats.reading import Read, text_of

FILE = "requirements.txt"
_MOST_LINES = 2_000
_COMMENT = re.compile(r"(^|\s)#.*$")


def read(data: bytes, file: str = FILE) -> Read:
    """Any version of Python: the portal's default is taken, and said so."""
    lines = lines_of(text_of(data, file), file)
    return Read(
        definition=Definition.of_packages(*lines),
        notes=(f"A requirements file names no Python: {DEFAULT_PYTHON} is taken.",),
    )


def lines_of(text: str, file: str = FILE) -> list[str]:
    """The lines of a requirements file, each checked; comments go."""
    found = [
        check_line(line, f"Line {number} of {file}: ")
        for number, line in _joined(text)
        if line
    ]
    if len(found) > _MOST_LINES:
        raise UserError(f"{file} has more than {_MOST_LINES:,} lines.")
    return found


def write(definition: Definition) -> str:
    """What pip can install; comments name the rest."""
    conda = definition.python.conda_dependencies
    lines = [f"# For Python {conda.python}"] if conda.python else []
    if conda.beyond_pip:
        lines.append(f"# Left out, as only conda has it: {', '.join(conda.beyond_pip)}")
    return "\n".join([*lines, *conda.pip, ""])


def _joined(text: str) -> list[tuple[int, str]]:
    """Each line with its number, those joined that end in a backslash."""
    found: list[tuple[int, str]] = []
    begun, start = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        start = start if begun else number
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            begun += line[:-1] + " "
            continue
        found.append((start, _COMMENT.sub("", begun + line).strip()))
        begun = ""
    if begun:
        found.append((start, _COMMENT.sub("", begun).strip()))
    return found
