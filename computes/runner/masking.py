"""Hides secrets in what a job prints, before that is written anywhere.

Shipped to compute targets beside runner.py: standard library only, Python 3.8 or newer.
Hidden are the values themselves, each longer line of those that have several, and what
URLs, JSON and base64 make of them. What a script has changed in another way can't be
known again.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import re
import select
import signal
import sys
from typing import Any, Callable, Dict, Iterable, Iterator, List, Sequence, Set, Tuple
from urllib.parse import quote, quote_plus

Write = Callable[[bytes], object]

MASK = b"***"
# Fewer bytes are in any text by chance: a shorter value is none that can be hidden.
LEAST, LEAST_OF_LINE = 4, 8
# Seconds of silence after which a few bytes are shown that might begin a secret.
PAUSE = 0.2
_BLOCK = 1 << 16
_SET_PIPE_SIZE = 1031
_URLSAFE = bytes.maketrans(b"+/", b"-_")
# The columns at which base64, and what writes keys, break lines.
_WIDTHS = (64, 76)
# So many bytes at the beginning of a base64 depend on what came before the value.
_SHARED = (0, 2, 3)
_ESCAPE = re.compile("%[0-9A-F]{2}")


def forms_of(value: str) -> Set[bytes]:
    """The bytes that stand for a value, in whichever way it is written."""
    text = value.strip()
    found = {text, *_in_urls(text), *_in_json(text)}
    found |= {line.strip() for line in text.splitlines() if _is_long(line)}
    forms = {form.encode() for form in found} | set(_in_base64(text.encode()))
    return {form for form in forms if len(form) >= LEAST}


def _is_long(line: str) -> bool:
    return len(line.strip()) >= LEAST_OF_LINE


def _in_urls(text: str) -> Iterator[str]:
    for form in (quote(text), quote(text, safe=""), quote_plus(text)):
        yield form
        yield _ESCAPE.sub(lambda escape: escape[0].lower(), form)


def _in_json(text: str) -> Iterator[str]:
    for ascii_only in (True, False):
        yield json.dumps(text, ensure_ascii=ascii_only)[1:-1]


def _in_base64(data: bytes) -> Iterator[bytes]:
    for form in _of_standard_base64(data):
        yield form
        yield form.translate(_URLSAFE)


def _of_standard_base64(data: bytes) -> Iterator[bytes]:
    alone = base64.b64encode(data)
    yield alone
    yield alone.rstrip(b"=")
    for width in _WIDTHS:
        lines = [alone[at : at + width] for at in range(0, len(alone), width)]
        yield from (line for line in lines if len(line) >= LEAST_OF_LINE)
    # Within something longer: without the ends, which its neighbours have a part in.
    for shift, shared in enumerate(_SHARED):
        whole = (shift + len(data)) * 8 // 6
        yield base64.b64encode(bytes(shift) + data)[shared:whole]


class Masker:
    """Masks a stream; in whichever pieces it comes, the result is the same.

    Each run of bytes that belong to secrets becomes one mask, also where secrets
    overlap. Only an end that may be the beginning of a secret is held back.
    """

    def __init__(self, values: Iterable[str]) -> None:
        self._forms: List[bytes] = sorted({f for v in values for f in forms_of(v)})
        self._longest = max(map(len, self._forms), default=0)
        # What may begin is looked for by its first two bytes.
        self._beginning: Dict[bytes, List[bytes]] = {}
        for form in self._forms:
            self._beginning.setdefault(form[:2], []).append(form)
        pairs = b"|".join(map(re.escape, self._beginning)) or b"(?!)"
        self._begins = re.compile(b"(?=%s)" % pairs)
        self._firsts = {form[:1] for form in self._forms}
        # What can't be decided yet. The first bytes of it may be dealt with already:
        # masked, where a secret reaches into it, or else shown.
        self._kept = b""
        self._done = 0
        self._is_masked = False

    @property
    def holds(self) -> bool:
        """Whether `ease` has something to show."""
        return self._done < len(self._kept) < LEAST

    def feed(self, data: bytes) -> bytes:
        buffer = self._kept + data
        return self._take(buffer, self._undecided(buffer))

    def ease(self) -> bytes:
        """When nothing comes for a while, show an end that is too short to matter.

        If it was the beginning of a secret after all, the rest of that is masked.
        """
        if not self.holds:
            return b""
        shown = self._kept[self._done :]
        self._done, self._is_masked = len(self._kept), False
        return shown

    def end(self) -> bytes:
        """What is left, when nothing will come any more."""
        return self._take(self._kept, len(self._kept))

    def _take(self, buffer: bytes, until: int) -> bytes:
        """What comes of the bytes before `until`; the rest is kept."""
        out, at, is_masked = [], self._done, self._is_masked
        for begin, end in self._hits(buffer):
            if begin >= until:
                break
            if not (is_masked and begin < at):
                out += [buffer[at:begin], MASK]
            at, is_masked = max(at, end), True
        if at < until:
            out.append(buffer[at:until])
            at = until
        self._kept, self._done = buffer[until:], at - until
        self._is_masked = is_masked and self._done > 0
        return b"".join(out)

    def _hits(self, buffer: bytes) -> List[Tuple[int, int]]:
        """Where secrets begin and end, in order; they may overlap."""
        found = []
        for form in self._forms:
            at = buffer.find(form)
            while at >= 0:
                found.append((at, at + len(form)))
                at = buffer.find(form, at + 1)
        return sorted(found)

    def _undecided(self, buffer: bytes) -> int:
        """Where the first secret may begin whose end has not come yet."""
        size = len(buffer)
        for begin in self._begins.finditer(buffer, max(size - self._longest + 1, 0)):
            at = begin.start()
            rest = buffer[at:]
            for form in self._beginning[rest[:2]]:
                if len(rest) < len(form) and form.startswith(rest):
                    return at
        return size - 1 if buffer[-1:] in self._firsts else size


def cover(text: str, values: Iterable[str]) -> str:
    """A text of its own, masked."""
    masker = Masker(values)
    masked = masker.feed(text.encode(errors="surrogateescape")) + masker.end()
    return masked.decode(errors="surrogateescape")


def copy(source: int, write: Write, values: Iterable[str]) -> None:
    """Pass on all that comes out of a pipe, masked, as it comes."""
    masker = Masker(values)
    arrivals = select.poll()
    arrivals.register(source, select.POLLIN | select.POLLHUP)
    while True:
        if masker.holds and not arrivals.poll(PAUSE * 1000):
            write(masker.ease())
        data = os.read(source, _BLOCK)
        write(masker.feed(data) if data else masker.end())
        if not data:
            return


def write_all(target: int, data: bytes) -> None:
    """Write all of it; a full disk, or a reader that has gone, is no reason to end."""
    with contextlib.suppress(OSError):
        while data:
            data = data[os.write(target, data) :]


def leave_masker(log: int, values: Sequence[str]) -> Tuple[int, int]:
    """A process that masks what is written into a pipe; its pid, and that end of it.

    A process of its own, so that the log goes on if the supervisor is killed.
    """
    source, end = os.pipe()
    with contextlib.suppress(OSError):
        fcntl.fcntl(end, _SET_PIPE_SIZE, 1 << 20)
    pid = os.fork()
    if pid:
        os.close(source)
        return pid, end
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        # The lock of the supervisor, among others, is not to outlive that.
        for name in os.listdir("/proc/self/fd"):
            if int(name) > 2 and int(name) not in (source, log):
                with contextlib.suppress(OSError):
                    os.close(int(name))
        copy(source, lambda data: write_all(log, data), values)
    finally:
        os._exit(0)


def main(argv: List[str]) -> int:
    """Run a script where nobody else masks its words: in a container on its own.

    The variables that are secrets come on standard input, as JSON.
    """
    import subprocess
    import threading

    secrets: Dict[str, str] = json.load(sys.stdin.buffer)["env"]
    source, end = os.pipe()
    script = subprocess.Popen(
        argv,
        env=dict(os.environ, **secrets),
        stdin=subprocess.DEVNULL,
        stdout=end,
        stderr=subprocess.STDOUT,
    )

    def pass_on(number: int, _: Any) -> None:
        script.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)
    os.close(end)
    words = [source, lambda data: write_all(1, data), [*secrets.values()]]
    masking = threading.Thread(target=copy, args=words, daemon=True)
    masking.start()
    code = script.wait()
    # What it has left behind ends with the container, and may hold the pipe.
    masking.join(2.0)
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
