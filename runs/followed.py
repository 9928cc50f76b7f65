"""One run that is followed: its mirror, and what its events have told."""

from typing import Any

from computes.frames import Frame
from runs import progress
from runs.file_names import printable
from runs.mirror import EVENTS, LOG, RESOURCES, mirror_folder
from runs.mirror_writer import MirrorWriter
from runs.models import Run
from runs.notices import Announcer, announce_restart
from runs.reports import Event, read_event

_MOST_LEFT_OUT = 10


class Followed:
    """Takes what `runner follow` sends about one run.

    It begins with what is mirrored already, and takes the events in it once more:
    whoever wrote them there may have been killed before their states were moved to.
    `noted` has the outputs that its timeline tells of already, and takes more of them.
    """

    def __init__(self, run: Run, announcer: Announcer, noted: set[str]) -> None:
        self.run = run
        self.mirror = MirrorWriter(mirror_folder(run.run_id))
        self.events: list[Event] = []
        self.log_resent = False
        # Its last word has come, and another thread is busy with it.
        self.is_finishing = False
        self._announcer = announcer
        self._noted = noted
        self._rest = b""
        # What comes from now on, the script may have written.
        self._has_begun = False
        self._take_events(self.mirror.read(EVENTS))

    def watch_command(self) -> dict[str, Any]:
        return {
            "watch": self.run.run_id,
            "have": self.mirror.sizes,
            "files": self.mirror.outputs(),
        }

    def refresh(self, run: Run) -> None:
        """Take over what others may have changed in the database."""
        self.run.cancel_requested_at = run.cancel_requested_at
        self.run.status = run.status

    def take(self, frame: Frame) -> None:
        header = frame.header
        if "file" in header:
            self._take_bytes(header["file"], header["offset"], frame.payload)
        elif "output" in header:
            self._take_output(header, frame.payload)
        elif "removed" in header:
            self.mirror.remove_outputs(header["removed"])
            self._announcer.changed(self.run.run_id, "files")

    def restart_log(self) -> None:
        self.log_resent = True
        self.mirror.restart_log()
        announce_restart(self.run.run_id)

    def _take_bytes(self, name: str, offset: int, data: bytes) -> None:
        fresh = self.mirror.append(name, offset, data)
        if name == LOG:
            self._announcer.grew(self.run.run_id, self.mirror.sizes[LOG])
        elif name == EVENTS:
            self._take_events(fresh)
        elif name == RESOURCES:
            self._announcer.changed(self.run.run_id, "resources")

    def _take_events(self, data: bytes) -> None:
        """Apply the events that `data`, the next bytes of the file, completes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            event = read_event(line)
            if event is not None:
                self.events.append(event)
                if not self._is_made_up(event):
                    progress.apply_event(self.run, event)
                self._has_begun |= event.event in ("prepared", "started")

    def _is_made_up(self, event: Event) -> bool:
        """Whether it is told by the script, which others' environments depend on."""
        return event.event == "environment" and self._has_begun

    def _take_output(self, header: dict[str, Any], data: bytes) -> None:
        name = header["output"]
        if "left_out" in header:
            self._note_left_out(name, header["left_out"])
            return
        if header.get("torn"):
            self.mirror.drop_partial(name)
            return
        problem = self.mirror.put_output(
            name,
            offset=header["offset"],
            data=data,
            mtime_ns=header["mtime_ns"],
            last=header["last"],
        )
        if problem:
            self._note_left_out(name, problem)
        if header["last"]:
            self._announcer.changed(self.run.run_id, "files")

    def _note_left_out(self, name: str, why: str) -> None:
        """Tell in the timeline of an output that is not kept, but not of thousands."""
        if name in self._noted or len(self._noted) > _MOST_LEFT_OUT:
            return
        if len(self._noted) < _MOST_LEFT_OUT:
            self.run.note(f"The output {printable(name)} is not kept: {why}.")
        else:
            self.run.note("More outputs are not kept.")
        self._noted.add(name)
