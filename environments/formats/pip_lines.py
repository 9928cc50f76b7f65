"""One line of a requirements file: what the portal takes, and why it refuses others."""

import re
from dataclasses import dataclass
from typing import Never
from urllib.parse import urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from aml_portal.errors import UserError
from aml_portal.secret_names import without_passwords

_LONGEST = 20_000
_HASH = re.compile(r"(?<!\s)\s+--hash[=\s]\s*(\S+)")
_GOOD_HASH = re.compile(r"sha(256|384|512):[0-9a-f]{64,128}")
_OPTION = re.compile(r"(-[A-Za-z]|--[a-z][a-z-]*)(?:[=\s]\s*(.*))?", re.DOTALL)
_NAMES = {
    "-i": "--index-url",
    "--pypi-url": "--index-url",
    "-f": "--find-links",
    "-r": "--requirement",
    "-c": "--constraint",
    "-e": "--editable",
}
_OF_ADDRESSES = ("--index-url", "--extra-index-url", "--find-links")
_OF_NAMES = ("--only-binary", "--no-binary")
_ALONE = ("--no-index", "--require-hashes")
_SCHEMES = ("https", "http", "git+https", "git+http")
_IN_SETTINGS = "Set it for all environments with AML_PORTAL_PYTHON_"
_REFUSED = {
    "--requirement": (
        "includes another file, which is not here.",
        "Put the lines of that file in its place.",
    ),
    "--constraint": (
        "names a file of constraints, which is not here.",
        "Write the versions at the packages themselves.",
    ),
    "--editable": (
        "installs a package from its source folder, which no environment has.",
        "Name it by an address, as NAME @ https://…, or submit it with the script.",
    ),
    "--pre": (
        "asks for pre-releases of everything.",
        "Name the version of the package that needs one, such as ==2.0rc1.",
    ),
    "--trusted-host": (
        "switches the check of certificates off.",
        f"{_IN_SETTINGS}CA_BUNDLE instead, which trusts your own authority.",
    ),
}


@dataclass(frozen=True)
class _Refusal(Exception):
    """Why a line is refused, as the rest of a sentence that begins with the line."""

    why: str
    advice: str = ""


def check_line(line: str, where: str = "") -> str:
    """The line as it is kept. Raises UserError; `where` begins its sentence."""
    text = line.strip()
    try:
        if not text or len(text) > _LONGEST or not text.isprintable():
            raise _Refusal("can't be read.")
        return _option(text) if text.startswith("-") else _requirement(text)
    except _Refusal as refusal:
        shown = text if len(text) <= 80 else f"{text[:79]}…"
        # Whoever typed a password has seen it; nobody else has to.
        begin = f"{where}“{without_passwords(shown)}”"
        raise UserError(f"{begin} {refusal.why}", refusal.advice) from None


def name_of(line: str) -> str:
    """The package that a line is about; "" for an option."""
    try:
        return Requirement(_HASH.sub("", line)).name
    except InvalidRequirement:
        return ""


def _option(text: str) -> str:
    match = _OPTION.fullmatch(text)
    # pip takes "-rbase.txt" as well.
    short = re.fullmatch(r"(-[rcefi])(\S.*)", text)
    name, value = (match or short or _unknown())[1], (match or short or _unknown())[2]
    name, value = _NAMES.get(name, name), (value or "").strip()
    if name in _REFUSED:
        raise _Refusal(*_REFUSED[name])
    if name in _OF_ADDRESSES:
        _check_address(value, ("https", "http"))
        return f"{name} {value}"
    if name in _OF_NAMES and value:
        return f"{name} {value}"
    if name in _ALONE and not value:
        return name
    return _unknown()


def _unknown() -> Never:
    raise _Refusal("is an option that the portal does not know.", "Leave the line out.")


def _requirement(text: str) -> str:
    hashes = _HASH.findall(text)
    bare = _HASH.sub("", text).strip()
    if any(not _GOOD_HASH.fullmatch(each) for each in hashes):
        raise _Refusal("has a hash that is none.", "Write --hash=sha256:….")
    if bare.startswith((".", "/", "~", "file:")) or re.match(r"[A-Za-z]:\\", bare):
        raise _Refusal(
            "is a file or folder of another machine.",
            "Name the package by an address, as NAME @ https://….",
        )
    if "://" in bare.split("@")[0]:
        bare = _named(bare)
    _check(bare)
    return " ".join([bare, *(f"--hash={each}" for each in hashes)])


def _check(bare: str) -> None:
    try:
        requirement = Requirement(bare)
    except InvalidRequirement as error:
        raise _Refusal(
            "names no package.", "Write a name and versions, such as numpy>=2,<3."
        ) from error
    if requirement.url:
        _check_address(requirement.url, _SCHEMES)


def _named(address: str) -> str:
    """`NAME @ ADDRESS` for the bare address of a wheel, which tells its name."""
    bare, _, marker = address.partition(" ;")
    file = urlsplit(bare).path.rpartition("/")[2]
    try:
        name = parse_wheel_filename(file)[0]
    except InvalidWheelFilename:
        raise _Refusal(
            "is an address that does not tell which package it is.",
            "Write NAME @ before it.",
        ) from None
    return f"{name} @ {bare}" + (f" ;{marker}" if marker else "")


def _check_address(address: str, schemes: tuple[str, ...]) -> None:
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if "${" in address or "@" in parts.netloc:
        raise _Refusal(
            "carries what signs in to an index.",
            f"{_IN_SETTINGS}INDEX, or in a netrc file; definitions are for everybody"
            " to read.",
        )
    if parts.scheme == "file" or address.startswith(("/", ".")):
        raise _Refusal(
            "is a folder of one machine.", f"{_IN_SETTINGS}FIND_LINKS instead."
        )
    if parts.scheme not in schemes or not parts.hostname or " " in address:
        raise _Refusal(
            "has no address that packages come from.", "Write one with https://."
        )
