"""Git's patterns for paths, as regular expressions over bytes.

The meaning is that of `wildmatch.c` and `dir.c` in git, with its corner cases, since
people check their rules with git. `static/js/upload/wildmatch.js` says the same; both
are held against `git check-ignore` by the tests. Stars are matched atomically, so that
no pattern takes longer than the square of a path's length.
"""

import re
from collections.abc import Iterator

_SPECIAL = re.compile(rb"[*?\[\\]")
_STARS = re.compile(rb"\*+")
_SLASH = ord("/")
_ANY, _ANY_FOLDERS, _SOME_FOLDERS, _REST = "*", "**/", "**\\/", "**"
# A token is the bytes of which one must come, or one of the above.
_Token = frozenset[int] | str
_ASCII = range(128)
_CLASSES = {
    name: frozenset(byte for byte in _ASCII if test(chr(byte)))
    for name, test in {
        b"alnum": str.isalnum,
        b"alpha": str.isalpha,
        b"blank": " \t".__contains__,
        b"cntrl": lambda each: each < " " or each == "\x7f",
        b"digit": str.isdigit,
        b"graph": lambda each: "!" <= each <= "~",
        b"lower": str.islower,
        b"print": lambda each: " " <= each <= "~",
        b"punct": lambda each: "!" <= each <= "~" and not each.isalnum(),
        b"space": " \t\n\v\f\r".__contains__,
        b"upper": str.isupper,
        b"xdigit": "0123456789abcdefABCDEF".__contains__,
    }.items()
}


class _NeverMatches(Exception):
    """The pattern is malformed; git lets such a one match nothing."""


def translate(pattern: bytes) -> bytes | None:
    """The regular expression of `pattern`, for a whole path; None if none matches."""
    # Git compares what comes before the first special character by itself, so that
    # two stars at once behind it are taken to stand at the beginning.
    special = _SPECIAL.search(pattern)
    start = special.start() if special else len(pattern)
    try:
        tokens = list(_tokens(pattern[start:]))
    except _NeverMatches:
        return None
    return re.escape(pattern[:start]) + _expression(tokens)


def _tokens(pattern: bytes) -> Iterator[_Token]:
    place = 0
    while place < len(pattern):
        match pattern[place : place + 1]:
            case b"*":
                token, place = _stars(pattern, place)
                yield token
            case b"?":
                yield frozenset(range(256)) - {_SLASH}
                place += 1
            case b"[":
                members, place = _set(pattern, place + 1)
                yield members - {_SLASH}
            case b"\\":
                yield frozenset({_at(pattern, place + 1)})
                place += 2
            case _:
                yield frozenset({pattern[place]})
                place += 1


def _stars(pattern: bytes, place: int) -> tuple[_Token, int]:
    """One star, or more: these cross folders where they stand between slashes."""
    found = _STARS.match(pattern, place)
    assert found
    end = found.end()
    begins = place == 0 or pattern[place - 1] == _SLASH
    if end - place == 1 or not begins:
        return _ANY, end
    if end == len(pattern):
        return _REST, end
    if pattern[end] == _SLASH:
        return _ANY_FOLDERS, end + 1
    if pattern.startswith(b"\\/", end):
        return _SOME_FOLDERS, end + 2
    return _ANY, end


def _set(pattern: bytes, place: int) -> tuple[frozenset[int], int]:
    """The bytes that a set in brackets allows, and where the pattern goes on."""
    is_negated = pattern[place : place + 1] in (b"!", b"^")
    place += is_negated
    members: set[int] = set()
    # The last single byte, from which a range may begin; a "]" that is first is one.
    last, is_first = -1, True
    while is_first or _at(pattern, place) != ord("]"):
        is_first = False
        byte = _at(pattern, place)
        if byte == ord("-") and last > 0 and _is_range(pattern, place):
            end, place = _escaped(pattern, place + 1)
            members.update(range(last, end + 1))
            last = -1
        elif byte == ord("[") and pattern[place + 1 : place + 2] == b":":
            name, end = _class_name(pattern, place + 2)
            if name is None:
                members.add(byte)
                last, place = byte, place + 1
                continue
            members |= _CLASSES[name]
            last, place = -1, end
        else:
            last, place = _escaped(pattern, place)
            members.add(last)
    chosen = frozenset(range(256)) - members if is_negated else frozenset(members)
    return chosen, place + 1


def _is_range(pattern: bytes, place: int) -> bool:
    return pattern[place + 1 : place + 2] not in (b"", b"]")


def _class_name(pattern: bytes, place: int) -> tuple[bytes | None, int]:
    """The name in "[:name:]", and what follows it; None where it is just a bracket."""
    end = pattern.find(b"]", place)
    if end < 0:
        raise _NeverMatches
    if end == place or pattern[end - 1] != ord(":"):
        return None, place
    name = pattern[place : end - 1]
    if name not in _CLASSES:
        raise _NeverMatches
    return name, end + 1


def _escaped(pattern: bytes, place: int) -> tuple[int, int]:
    """The byte at `place`, or the one behind a backslash there, and what follows."""
    place += _at(pattern, place) == ord("\\")
    return _at(pattern, place), place + 1


def _at(pattern: bytes, place: int) -> int:
    if place >= len(pattern):
        raise _NeverMatches
    return pattern[place]


def _expression(tokens: list[_Token]) -> bytes:
    """What stands between two marks for folders is found where it is first met."""
    groups: list[tuple[bytes, list[_Token]]] = [(b"", [])]
    for token in tokens:
        match token:
            case "**/":
                groups.append((rb"(?:[^/]*/)*?", []))
            case "**\\/":
                groups.append((rb"(?:[^/]*/)+?", []))
            case _:
                groups[-1][1].append(token)
    *firsts, (lead, last) = groups
    found = (b"(?>" + before + _parts(part) + b")" for before, part in firsts)
    return b"".join(found) + lead + _parts(last)


def _parts(tokens: list[_Token]) -> bytes:
    """Tokens that cross no folder, but for the rest of a path at the end."""
    ends_in_rest = bool(tokens) and tokens[-1] == _REST
    if ends_in_rest:
        tokens = tokens[:-1]
    parts: list[list[_Token]] = [[]]
    for token in tokens:
        if token == frozenset({_SLASH}):
            parts.append([])
        else:
            parts[-1].append(token)
    return b"/".join(map(_part, parts)) + (b".*" if ends_in_rest else b"")


def _part(tokens: list[_Token]) -> bytes:
    """The name of one file or folder."""
    pieces = [b""]
    for token in tokens:
        if isinstance(token, frozenset):
            pieces[-1] += _one_of(token)
        else:
            pieces.append(b"")
    first, *rest = pieces
    if not rest:
        return first
    *middle, last = rest
    found = (b"(?>[^/]*?" + piece + b")" for piece in middle if piece)
    return first + b"".join(found) + b"[^/]*" + last


def _one_of(members: frozenset[int]) -> bytes:
    if not members:
        return b"(?!)"
    if len(members) == 1:
        return re.escape(bytes(members))
    return b"[" + b"".join(b"\\x%02x" % each for each in sorted(members)) + b"]"
