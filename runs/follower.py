"""Follows the jobs of one host: writes their mirrors and tells what happened."""

import json
import logging
import threading
import time
from collections.abc import Iterable
from typing import Any

from django.db import DatabaseError, close_old_connections

from aml_portal.errors import PortalError
from computes.frames import Frame, FrameReader
from computes.hosts import Host, Stream, StreamClosed
from runs import progress
from runs.mirror import EVENTS, LOG, RESOURCES, mirror_folder
from runs.mirror_writer import MirrorGap, MirrorWriter
from runs.models import Run
from runs.notices import announce_change, announce_log
from runs.status import RunStatus

_log = logging.getLogger(__name__)

# The runner beats every 2 s: silence for this long means that the stream is dead.
_SILENCE = 10.0
# "Cannot tell": only after this many seconds without a word from the host.
_NOT_RESPONDING_AFTER = 30.0
_LONGEST_BACK_OFF = 10.0
# Pages hear at most this often, in seconds, that a log grew.
_ANNOUNCE_EVERY = 0.05
_CANCEL_AGAIN = 10.0


class _Followed:
    """A run that is followed, its mirror, and how far its events were taken."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.mirror = MirrorWriter(mirror_folder(run.run_id))
        self.events: list[dict[str, Any]] = []
        self._rest = b""
        self.cancel_sent = 0.0
        self.log_resent = False
        path = mirror_folder(run.run_id) / EVENTS
        if path.exists():
            self.take_events(path.read_bytes())

    def take_events(self, data: bytes) -> None:
        """Apply the events that `data`, the next bytes of the file, completes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            self.events.append(event)
            progress.apply_event(self.run, event)


class _Announcer:
    """Tells pages where logs end, at once if it can and never more than needed."""

    def __init__(self) -> None:
        self._pending: dict[str, int] = {}
        self._last: dict[str, float] = {}

    def grew(self, run_id: str, end: int) -> None:
        self._pending[run_id] = end
        self.flush()

    def flush(self) -> bool:
        """Announce what is due; whether something has to wait."""
        now = time.monotonic()
        for run_id, end in list(self._pending.items()):
            if now - self._last.get(run_id, 0.0) >= _ANNOUNCE_EVERY:
                del self._pending[run_id]
                self._last[run_id] = now
                announce_log(run_id, end)
        return bool(self._pending)

    def forget(self, run_id: str) -> None:
        self._pending.pop(run_id, None)
        self._last.pop(run_id, None)


class Follower(threading.Thread):
    """One stream to one host, opened again whenever it breaks.

    The monitor's main thread says with `sync` which runs to follow; everything that
    arrives is handled in this thread, in the order in which it was sent.
    """

    def __init__(self, host: Host) -> None:
        super().__init__(name=f"follow-{host.key}", daemon=True)
        self._host = host
        self._followed: dict[str, _Followed] = {}
        self._lock = threading.Lock()
        self._stream: Stream | None = None
        self._stopped = threading.Event()
        self._announcer = _Announcer()
        self._heard = time.monotonic()
        self.busy_at = time.monotonic()

    # Called by the main thread.

    def sync(self, runs: Iterable[Run]) -> None:
        """Follow exactly these runs, and pass on the cancels among them."""
        wanted = {run.run_id: run for run in runs}
        if wanted:
            self.busy_at = time.monotonic()
        with self._lock:
            for job in [job for job in self._followed if job not in wanted]:
                self._forget(job)
            for job, run in wanted.items():
                if job not in self._followed:
                    self._followed[job] = _Followed(run)
                    self._send(self._watch_command(self._followed[job]))
                followed = self._followed[job]
                followed.run.cancel_requested_at = run.cancel_requested_at
                followed.run.status = run.status
                self._cancel_if_asked(followed)

    def stop(self) -> None:
        self._stopped.set()
        self.join(timeout=10)

    # The thread itself.

    def run(self) -> None:
        back_off = 0.1
        while not self._stopped.is_set():
            try:
                self._follow_stream()
            except (StreamClosed, MirrorGap, ValueError) as error:
                _log.warning("The stream of %s ended: %r", self._host.key, error)
            except (OSError, PortalError, DatabaseError):
                _log.exception("Following %s failed", self._host.key)
            if time.monotonic() - self._heard < _SILENCE:
                back_off = 0.1
            self._close()
            self._mark_silent()
            self._stopped.wait(back_off)
            back_off = min(back_off * 2, _LONGEST_BACK_OFF)
        self._close()

    def _follow_stream(self) -> None:
        close_old_connections()
        stream = self._host.follow()
        opened = time.monotonic()
        with self._lock:
            self._stream = stream
            for job, followed in list(self._followed.items()):
                # From the mirror as it lies on disk, and all events once more.
                followed.mirror.close()
                self._followed[job] = _Followed(followed.run)
                self._send(self._watch_command(self._followed[job]))
        frames = FrameReader()
        waiting = False
        while not self._stopped.is_set():
            data = stream.read(_ANNOUNCE_EVERY if waiting else 1.0)
            now = time.monotonic()
            if data:
                self._heard = now
                for frame in frames.feed(data):
                    self._take(frame)
            elif now - max(self._heard, opened) > _SILENCE:
                raise StreamClosed("silence")
            waiting = self._announcer.flush()

    def _take(self, frame: Frame) -> None:
        header = frame.header
        if "beat" in header:
            self._mark_answering()
            return
        followed = self._followed.get(header["job"])
        if followed is None:
            return
        if "file" in header:
            self._take_bytes(followed, header["file"], header["offset"], frame.payload)
        elif "output" in header:
            self._take_output(followed, frame)
        elif "removed" in header:
            followed.mirror.remove_outputs(header["removed"])
            announce_change(followed.run.run_id, "files")
        elif "final" in header:
            self._take_final(followed, header["final"])
        elif "missing" in header:
            self._take_missing(followed)

    def _take_bytes(
        self, followed: _Followed, name: str, offset: int, data: bytes
    ) -> None:
        end = followed.mirror.append(name, offset, data)
        if name == LOG:
            self._announcer.grew(followed.run.run_id, end)
        elif name == EVENTS:
            followed.take_events(data)
        elif name == RESOURCES:
            announce_change(followed.run.run_id, "resources")

    def _take_output(self, followed: _Followed, frame: Frame) -> None:
        header = frame.header
        if header.get("torn"):
            followed.mirror.drop_partial(header["output"])
            return
        followed.mirror.put_output(
            header["output"],
            offset=header["offset"],
            data=frame.payload,
            mtime_ns=header["mtime_ns"],
            last=header["last"],
        )
        if header["last"]:
            announce_change(followed.run.run_id, "files")

    def _take_final(self, followed: _Followed, record: dict[str, Any]) -> None:
        run = followed.run
        if not followed.mirror.log_matches(record):
            if not followed.log_resent:
                followed.log_resent = True
                followed.mirror.restart_log()
                self._send(self._watch_command(followed))
                return
            run.note("The mirrored log is not the one that the runner saw at the end.")
        followed.mirror.finish(record)
        progress.settle(run, record)
        with self._lock:
            self._forget(run.run_id)

    def _take_missing(self, followed: _Followed) -> None:
        run = followed.run
        run.refresh_from_db()
        with self._lock:
            # Dropped here, so that the next sync watches it anew.
            self._forget(run.run_id)
        if run.status == RunStatus.CANCEL_REQUESTED and run.handle is None:
            self._host.cancel(run.run_id, grace_seconds=0, reason="Canceled early.")
        elif run.handle is not None:
            progress.lose(
                run,
                "The folder of the run is gone from the compute target: what became"
                " of the script can't be known.",
            )

    def _mark_answering(self) -> None:
        for followed in list(self._followed.values()):
            if followed.run.status == RunStatus.NOT_RESPONDING:
                progress.respond_again(followed.run, followed.events)

    def _mark_silent(self) -> None:
        if time.monotonic() - self._heard < _NOT_RESPONDING_AFTER:
            return
        for followed in list(self._followed.values()):
            progress.stop_responding(
                followed.run,
                "The compute target is not heard from; the run may still be working.",
            )

    # Commands; the caller holds the lock or is the only one who could.

    def _watch_command(self, followed: _Followed) -> dict[str, Any]:
        return {
            "watch": followed.run.run_id,
            "have": followed.mirror.sizes,
            "files": followed.mirror.outputs(),
        }

    def _cancel_if_asked(self, followed: _Followed) -> None:
        now = time.monotonic()
        due = now - followed.cancel_sent > _CANCEL_AGAIN or not followed.cancel_sent
        if followed.run.cancel_requested_at is None or not due:
            return
        followed.cancel_sent = now
        self._send(
            {
                "cancel": followed.run.run_id,
                "grace_seconds": followed.run.configuration.grace_seconds,
                "reason": "Canceled in the portal.",
            }
        )

    def _forget(self, job: str) -> None:
        followed = self._followed.pop(job, None)
        if followed:
            self._announcer.forget(job)
            followed.mirror.close()
            self._send({"forget": job})

    def _send(self, command: dict[str, Any]) -> None:
        # Without a stream there is nothing to do: a new one gets all watches again.
        if self._stream:
            self._stream.write(json.dumps(command).encode() + b"\n")

    def _close(self) -> None:
        with self._lock:
            if self._stream:
                self._stream.close()
            self._stream = None
