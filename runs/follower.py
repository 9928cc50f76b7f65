"""Follows the jobs of one host: writes their mirrors and tells what happened."""

import json
import logging
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError, close_old_connections, connection

from aml_portal.errors import FULL_DISK, PortalError
from computes.frames import Frame, FrameReader
from computes.hosts import Host, Stream, StreamClosed
from runs import progress
from runs.followed import Followed
from runs.giving_up import give_up_if_due
from runs.mirror_writer import MirrorGap
from runs.models import Run
from runs.notices import Announcer
from runs.reports import read_last_word
from runs.status import RunStatus

_log = logging.getLogger(__name__)

# The runner beats every 2 s: silence for this long means that the stream is dead.
_SILENCE = 10.0
# "Cannot tell": only after this many seconds without a word from the host.
_NOT_RESPONDING_AFTER = 30.0
_FIRST_BACK_OFF, _LONGEST_BACK_OFF = 0.1, 10.0
# A run whose mirror could not be written is left alone for so many seconds.
_PAUSE = 2.0
# Seconds to wait for news; less while something waits to be announced.
_LOOK_EVERY, _ANNOUNCE_EVERY = 1.0, 0.01
_CANCEL_AGAIN = 10.0
# How many runs that have ended are brought to the disk at once.
_FINISHERS = 2


@dataclass
class _Memory:
    """What is remembered of a run from one `sync` to the next."""

    retry_at: float = 0.0
    cancel_due: float = 0.0
    is_troubled: bool = False
    # Outputs that its timeline says are not kept.
    noted: set[str] = field(default_factory=set)


class Follower(threading.Thread):
    """One stream to one host, opened again whenever it breaks.

    The monitor's main thread says with `sync` which runs to follow; what arrives is
    handled in this thread, in the order in which it was sent. Trouble with one run,
    whatever it is, keeps none of the others waiting.
    """

    def __init__(self, host: Host) -> None:
        super().__init__(name=f"follow-{host.key}", daemon=True)
        self._host = host
        # Held by whoever touches the runs, their mirrors or the stream's commands.
        self._lock = threading.RLock()
        self._followed: dict[str, Followed] = {}
        self._memory: dict[str, _Memory] = {}
        self._finishers = ThreadPoolExecutor(_FINISHERS, f"finish-{host.key}")
        self._stream: Stream | None = None
        self._stopped = threading.Event()
        self._announcer = Announcer()
        self._heard = time.monotonic()
        self.busy_at = time.monotonic()
        # Why there is no stream, for people; empty while there is one.
        self.trouble = ""

    # Called by the main thread.

    def sync(self, runs: Iterable[Run]) -> None:
        """Follow exactly these runs, and pass on the cancels among them."""
        wanted = {run.run_id: run for run in runs}
        now = time.monotonic()
        if wanted:
            self.busy_at = now
        with self._lock:
            self._memory = {job: self._memory.get(job, _Memory()) for job in wanted}
            for job, followed in list(self._followed.items()):
                if job not in wanted and not followed.is_finishing:
                    self._forget(job)
            for job, run in wanted.items():
                if job in self._followed:
                    self._followed[job].refresh(run)
                elif now >= self._memory[job].retry_at:
                    self._watch(run)
                self._cancel_if_asked(run, self._memory[job], now)

    def is_heard(self) -> bool:
        """Whether the host has said something lately."""
        return not self.trouble and time.monotonic() - self._heard < _SILENCE

    def stop(self) -> None:
        self._stopped.set()
        self.join(timeout=10)

    # The thread itself.

    def run(self) -> None:
        back_off = _FIRST_BACK_OFF
        while not self._stopped.is_set():
            opened = time.monotonic()
            try:
                self._follow_stream()
            except StreamClosed as error:
                _log.warning("The stream of %s ended: %r", self._host.key, error)
            except PortalError as error:
                self.trouble = str(error)
                _log.warning("%s can't be followed: %s", self._host.key, error)
            except Exception:
                _log.exception("Following %s failed", self._host.key)
            self._close()
            if time.monotonic() - opened > _SILENCE:
                back_off = _FIRST_BACK_OFF
            self._stopped.wait(back_off)
            back_off = min(back_off * 2, _LONGEST_BACK_OFF)
        self._finishers.shutdown()
        with self._lock:
            for job in list(self._followed):
                self._forget(job)
        connection.close()

    def _follow_stream(self) -> None:
        close_old_connections()
        self._mark_silent()
        stream = self._host.follow()
        self.trouble = ""
        opened = time.monotonic()
        with self._lock:
            self._stream = stream
            for followed in list(self._followed.values()):
                if not followed.is_finishing:
                    # From the mirror as it lies on disk, and all events once more.
                    followed.mirror.close()
                    self._watch(followed.run)
        frames = FrameReader()
        waiting = False
        while not self._stopped.is_set():
            data = stream.read(_ANNOUNCE_EVERY if waiting else _LOOK_EVERY)
            now = time.monotonic()
            if data:
                self._heard = now
                for frame in frames.feed(data):
                    self._take(frame)
            elif now - max(self._heard, opened) > _SILENCE:
                raise StreamClosed("silence")
            with self._lock:
                waiting = self._announcer.flush()

    def _take(self, frame: Frame) -> None:
        with self._lock:
            if "beat" in frame.header:
                self._mark_answering()
                return
            followed = self._followed.get(frame.header["job"])
            if followed is None:
                return
            try:
                self._handle(followed, frame)
            except Exception as error:
                self._pause(followed.run, error)

    def _handle(self, followed: Followed, frame: Frame) -> None:
        if "final" in frame.header:
            # The disk may take its time, and other runs go on meanwhile.
            followed.is_finishing = True
            self._finishers.submit(self._finish, followed, frame.payload)
        elif "missing" in frame.header:
            self._take_missing(followed.run)
        elif "dropped" in frame.header:
            raise RuntimeError(f"The runner dropped it: {frame.header['dropped']}")
        else:
            followed.take(frame)

    def _take_missing(self, run: Run) -> None:
        # Dropped here, so that the next sync watches it anew.
        self._forget(run.run_id)
        run.refresh_from_db()
        if run.handle is not None or run.started_at is not None:
            progress.lose(
                run,
                "The folder of the run is gone from the compute target: what became"
                " of the script can't be known.",
            )
        elif run.cancel_requested_at is not None:
            self._send_cancel(run)

    def _mark_answering(self) -> None:
        for followed in list(self._followed.values()):
            if followed.run.status == RunStatus.NOT_RESPONDING:
                progress.respond_again(followed.run, followed.events)

    def _mark_silent(self) -> None:
        if time.monotonic() - self._heard < _NOT_RESPONDING_AFTER:
            return
        with self._lock:
            for followed in list(self._followed.values()):
                if followed.run.status == RunStatus.NOT_RESPONDING:
                    give_up_if_due(followed.run)
                    continue
                progress.stop_responding(
                    followed.run,
                    f"{self.trouble or 'The compute target is not heard from.'} The"
                    " run may still be working; it will be picked up when the target"
                    " answers.",
                )

    # Threads of their own, for the end of a run.

    def _finish(self, followed: Followed, last_word: bytes) -> None:
        run = followed.run
        try:
            if self._is_settled(followed, last_word):
                with self._lock:
                    self._forget(run.run_id)
        except Exception as error:
            with self._lock:
                self._pause(run, error)
        finally:
            connection.close()

    def _is_settled(self, followed: Followed, last_word: bytes) -> bool:
        """End the run; False if first its log has to be sent once more."""
        run, word = followed.run, read_last_word(last_word)
        is_same = word is None or followed.mirror.log_matches(word.log)
        if not is_same and not followed.log_resent:
            with self._lock:
                followed.restart_log()
                followed.is_finishing = False
                self._send(followed.watch_command())
            return False
        followed.mirror.finish(last_word)
        if word is None:
            progress.lose(run, "The runner's last word can't be understood.")
        else:
            progress.settle(run, word)
        if not is_same:
            run.note("The mirrored log is not the one that the runner saw at the end.")
        return True

    # The caller holds the lock.

    def _watch(self, run: Run) -> None:
        try:
            memory = self._memory.setdefault(run.run_id, _Memory())
            followed = Followed(run, self._announcer, memory.noted)
            self._followed[run.run_id] = followed
            self._send(followed.watch_command())
        except Exception as error:
            self._pause(run, error)

    def _pause(self, run: Run, error: Exception) -> None:
        """Leave a run alone for a moment, then go on from what is on the disk."""
        self._forget(run.run_id)
        close_old_connections()
        memory = self._memory.setdefault(run.run_id, _Memory())
        memory.retry_at = time.monotonic() + _PAUSE
        if memory.is_troubled or isinstance(error, MirrorGap):
            _log.info("Following %s is interrupted: %s", run.run_id, error)
            return
        _log.error("Following %s is interrupted", run.run_id, exc_info=error)
        try:
            run.note(_trouble(error))
            memory.is_troubled = True
        except DatabaseError as worse:
            _log.warning("The timeline of %s can't be written: %s", run.run_id, worse)

    def _cancel_if_asked(self, run: Run, memory: _Memory, now: float) -> None:
        if run.cancel_requested_at is None or now < memory.cancel_due:
            return
        if self._stream is None:
            return
        memory.cancel_due = now + _CANCEL_AGAIN
        self._send_cancel(run)

    def _send_cancel(self, run: Run) -> None:
        self._send(
            {
                "cancel": run.run_id,
                "grace_seconds": run.configuration.grace_seconds,
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
            for memory in self._memory.values():
                memory.cancel_due = 0.0


def _trouble(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in FULL_DISK:
        return (
            "The portal's disk is full. The run goes on, and the portal takes up what"
            " it writes as soon as there is room: nothing is lost."
        )
    why = error.strerror if isinstance(error, OSError) else "its log says why"
    return (
        f"The portal can't take up what the run writes ({why}). The run goes on, and"
        " the portal keeps trying."
    )
