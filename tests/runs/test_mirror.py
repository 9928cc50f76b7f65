"""The mirror is what the job folder was, whatever happens while it is written."""

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from runs.mirror import EXIT, LOG
from runs.mirror_writer import MirrorGap, MirrorWriter
from runs.reports import LogFacts


def facts_of(log: bytes) -> LogFacts:
    return LogFacts(bytes=len(log), sha256=hashlib.sha256(log).hexdigest())


def put(writer: MirrorWriter, name: str, content: bytes, *, pieces: int = 1) -> None:
    step = len(content) // pieces + 1
    for offset in range(0, max(len(content), 1), step):
        piece = content[offset : offset + step]
        writer.put_output(
            name,
            offset=offset,
            data=piece,
            mtime_ns=1_700_000_000_000_000_123,
            last=offset + len(piece) >= len(content),
        )


@pytest.mark.parametrize("seed", range(10))
def test_two_writers_at_once_leave_one_exact_log(tmp_path: Path, seed: int) -> None:
    rnd = random.Random(seed)
    log = rnd.randbytes(300_000)
    writers = [MirrorWriter(tmp_path), MirrorWriter(tmp_path)]
    while any(writer.sizes[LOG] < len(log) for writer in writers):
        number = rnd.randrange(2)
        if rnd.random() < 0.05:
            # It was killed, and goes on from what is on the disk.
            writers[number].close()
            writers[number] = MirrorWriter(tmp_path)
        # A watch that was sent twice brings bytes twice.
        offset = max(writers[number].sizes[LOG] - rnd.randrange(3000), 0)
        writers[number].append(LOG, offset, log[offset : offset + rnd.randrange(9000)])
    assert (tmp_path / LOG).read_bytes() == log
    assert all(writer.log_matches(facts_of(log)) for writer in writers)


def test_bytes_that_leave_a_gap_are_refused(tmp_path: Path) -> None:
    writer = MirrorWriter(tmp_path)
    writer.append(LOG, 0, b"abc")
    with pytest.raises(MirrorGap):
        writer.append(LOG, 4, b"e")
    assert writer.append(LOG, 2, b"cde") == b"de"
    assert (tmp_path / LOG).read_bytes() == b"abcde"


def test_a_damaged_log_is_noticed_and_sent_again(tmp_path: Path) -> None:
    log = b"line\n" * 1000
    writer = MirrorWriter(tmp_path)
    writer.append(LOG, 0, log)
    (tmp_path / LOG).write_bytes(log[:100])
    assert not writer.log_matches(facts_of(log))
    writer.restart_log()
    assert writer.sizes[LOG] == 0
    writer.append(LOG, 0, log)
    assert writer.log_matches(facts_of(log))


def test_a_log_that_was_removed_is_sent_again(tmp_path: Path) -> None:
    writer = MirrorWriter(tmp_path)
    writer.append(LOG, 0, b"some")
    (tmp_path / LOG).unlink()
    assert not writer.log_matches(facts_of(b"some"))
    writer.restart_log()
    writer.append(LOG, 0, b"some")
    assert (tmp_path / LOG).read_bytes() == b"some"
    assert writer.log_matches(facts_of(b"some"))


def test_what_another_writer_has_repaired_stays(tmp_path: Path) -> None:
    old, new = MirrorWriter(tmp_path), MirrorWriter(tmp_path)
    old.append(LOG, 0, b"wrong")
    new.restart_log()
    new.append(LOG, 0, b"right")
    assert old.log_matches(facts_of(b"right"))


def test_an_output_appears_whole_with_its_time(tmp_path: Path) -> None:
    writer, content = MirrorWriter(tmp_path), random.Random(1).randbytes(100_000)
    writer.put_output(
        "outputs/m.bin", offset=0, data=content[:9], mtime_ns=1, last=False
    )
    assert writer.outputs() == {}
    put(writer, "outputs/m.bin", content, pieces=7)
    assert (tmp_path / "files/outputs/m.bin").read_bytes() == content
    assert writer.outputs() == {"outputs/m.bin": (100_000, 1_700_000_000_000_000_123)}


def test_a_shorter_version_replaces_a_longer_one(tmp_path: Path) -> None:
    writer = MirrorWriter(tmp_path)
    for content in (b"x" * 5000, b"", b"short"):
        put(writer, "outputs/a", content)
        assert (tmp_path / "files/outputs/a").read_bytes() == content


def test_a_piece_without_those_before_it_is_refused(tmp_path: Path) -> None:
    writer = MirrorWriter(tmp_path)
    with pytest.raises(MirrorGap):
        writer.put_output("outputs/a", offset=5, data=b"x", mtime_ns=1, last=True)
    assert writer.outputs() == {}


def test_a_version_that_changed_while_it_was_sent_is_dropped(tmp_path: Path) -> None:
    writer = MirrorWriter(tmp_path)
    writer.put_output("outputs/a", offset=0, data=b"old", mtime_ns=1, last=False)
    writer.drop_partial("outputs/a")
    put(writer, "outputs/a", b"new")
    assert (tmp_path / "files/outputs/a").read_bytes() == b"new"


def test_a_file_and_a_folder_take_each_others_place(tmp_path: Path) -> None:
    writer = MirrorWriter(tmp_path)
    put(writer, "outputs/a/b", b"below")
    writer.remove_outputs(["outputs/a/b"])
    put(writer, "outputs/a", b"a file")
    assert writer.outputs().keys() == {"outputs/a"}
    # Told late, by a writer that saw the former state.
    writer.remove_outputs(["outputs/a/b"])
    put(writer, "outputs/a/c", b"below again")
    assert writer.outputs().keys() == {"outputs/a/c"}
    writer.remove_outputs(["outputs/a"])
    assert writer.outputs().keys() == {"outputs/a/c"}


def test_the_cleaning_of_an_ended_job_takes_no_outputs(tmp_path: Path) -> None:
    writer = MirrorWriter(tmp_path)
    put(writer, "outputs/a", b"kept")
    writer.finish(b"{}")
    # By a watch that began when the run was just about to end.
    late = MirrorWriter(tmp_path)
    late.remove_outputs(["outputs/a"])
    assert (tmp_path / "files/outputs/a").read_bytes() == b"kept"


@pytest.mark.parametrize("name", ["../x", "outputs/../../x", "/etc/x", "outputs", "x"])
def test_a_name_outside_is_not_written(tmp_path: Path, name: str) -> None:
    writer = MirrorWriter(tmp_path / "mirror")
    put(writer, name, b"evil")
    assert writer.outputs() == {}
    assert {path.name for path in tmp_path.rglob("*")} <= {"mirror", "logs", "partial"}


def test_a_link_in_the_mirror_is_not_followed(tmp_path: Path) -> None:
    """No runner sends one; but a folder above an output may have been swapped."""
    outside = tmp_path / "outside"
    outside.mkdir()
    mirror = tmp_path / "mirror"
    (mirror / "files").mkdir(parents=True)
    (mirror / "files" / "outputs").symlink_to(outside)
    put(MirrorWriter(mirror), "outputs/a", b"x")
    assert list(outside.iterdir()) == []
    assert (mirror / "files/outputs/a").read_bytes() == b"x"


def test_a_name_that_is_too_long_here_costs_only_that_file(tmp_path: Path) -> None:
    writer = MirrorWriter(tmp_path)
    deep = "outputs/" + "/".join(["d" * 200] * 21)
    said = writer.put_output(deep, offset=0, data=b"x", mtime_ns=1, last=True)
    assert said == "File name too long"
    put(writer, "outputs/a", b"x")
    assert writer.outputs().keys() == {"outputs/a"}


def test_the_last_word_comes_last_and_tidies_up(tmp_path: Path) -> None:
    writer = MirrorWriter(tmp_path)
    put(writer, "outputs/a", b"x")
    writer.append(LOG, 0, b"log")
    writer.finish(b"the last word")
    writer.close()
    assert (tmp_path / EXIT).read_bytes() == b"the last word"
    assert {path.name for path in tmp_path.iterdir()} == {"logs", "files", EXIT}


_ON_A_FULL_DISK = """
import pathlib, resource, signal, sys
import django
from django.conf import settings
settings.configure(RUNS_FOLDER=None)
from runs.mirror import LOG
from runs.mirror_writer import MirrorWriter
folder, source = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]).read_bytes()
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
refused = 0
for limit in (0, 1000, 70_000, 150_000, hard):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    writer = MirrorWriter(folder)
    try:
        while (at := writer.sizes[LOG]) < len(source):
            writer.append(LOG, at, source[at : at + 30_000])
        writer.put_output("outputs/a", offset=0, data=source, mtime_ns=5, last=True)
    except OSError:
        refused += 1
    writer.close()
assert refused == 4, refused
"""


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """The kernel refuses bytes, in the middle of a piece too, until there is room."""
    source = tmp_path / "source"
    source.write_bytes(random.Random(3).randbytes(200_000))
    mirror = tmp_path / "mirror"
    command = [sys.executable, "-c", _ON_A_FULL_DISK, str(mirror), str(source)]
    subprocess.run(command, check=True, cwd=Path.cwd(), env={**os.environ})
    assert (mirror / LOG).read_bytes() == source.read_bytes()
    assert (mirror / "files/outputs/a").read_bytes() == source.read_bytes()
    assert MirrorWriter(mirror).log_matches(facts_of(source.read_bytes()))
