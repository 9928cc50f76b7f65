"""What is hidden in the words of a job, in whichever pieces they come."""

import base64
import json
import os
import threading
import time
from itertools import pairwise
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, strategies as st

from computes.runner import masking
from computes.runner.masking import MASK, Masker, copy, cover, forms_of
from tests.waiting import eventually

TOKEN = 'hf_ab/cd+ef?gh ü"quoted"='
KEY = (
    "-----BEGIN PRIVATE KEY-----\n"
    + "\n".join(base64.b64encode(bytes(range(n, n + 48))).decode() for n in range(6))
    + "\n-----END PRIVATE KEY-----\n"
)
# Few letters, so that values contain, begin and overlap each other all the time.
VALUES = st.lists(st.text("ab\n", min_size=4, max_size=12), max_size=4)
PIECES = st.lists(st.binary(max_size=4) | st.text("ab\n", max_size=20).map(str.encode))


def masked(pieces: list[bytes], values: list[str]) -> bytes:
    masker = Masker(values)
    return b"".join(map(masker.feed, pieces)) + masker.end()


def by_definition(data: bytes, values: list[str]) -> bytes:
    """Each run of bytes that belong to secrets, replaced."""
    forms = {form for value in values for form in forms_of(value)}
    hits = sorted(
        (at, at + len(form))
        for form in forms
        for at in range(len(data))
        if data.startswith(form, at)
    )
    out, at, covered_to = b"", 0, -1
    for begin, end in hits:
        if begin >= covered_to:
            out += data[at:begin] + MASK
        at = covered_to = max(covered_to, end)
    return out + data[at:]


@given(PIECES, VALUES)
@example([b"aba", b"bab", b"b"], ["abab", "babb"])
def test_the_pieces_make_no_difference(pieces: list[bytes], values: list[str]) -> None:
    whole = b"".join(pieces)
    assert masked(pieces, values) == masked([whole], values)
    assert masked([whole], values) == by_definition(whole, values)


@given(st.binary(), st.binary(), st.sampled_from([TOKEN, KEY]), st.data())
def test_no_neighbour_and_no_cut_shows_a_secret(
    before: bytes, after: bytes, value: str, data: st.DataObject
) -> None:
    said = before + value.encode() + after
    cuts = data.draw(st.lists(st.integers(0, len(said))).map(sorted))
    ends = [0, *cuts, len(said)]
    out = masked([said[a:b] for a, b in pairwise(ends)], [value])
    assert value.strip().encode() not in out
    assert MASK in out


@given(st.lists(st.binary()), VALUES)
def test_only_the_beginning_of_a_secret_is_held_back(
    pieces: list[bytes], values: list[str]
) -> None:
    masker = Masker(values)
    said = b""
    for piece in pieces:
        said += piece
        masker.feed(piece)
        held = masker._kept
        forms = {form for value in values for form in forms_of(value)}
        assert not held or any(form.startswith(held) for form in forms)


@pytest.mark.parametrize(
    "form",
    [
        TOKEN,
        quote(TOKEN),
        quote(TOKEN, safe=""),
        quote(TOKEN, safe="").lower(),
        quote_plus(TOKEN),
        json.dumps(TOKEN)[1:-1],
        json.dumps(TOKEN, ensure_ascii=False)[1:-1],
        base64.b64encode(TOKEN.encode()).decode(),
        base64.urlsafe_b64encode(TOKEN.encode()).decode().rstrip("="),
    ],
)
def test_each_way_to_write_it_is_masked(form: str) -> None:
    assert cover(f"<{form}>", [TOKEN]) == "<***>"


@given(st.binary(max_size=7), st.binary(max_size=7), st.booleans())
def test_base64_of_something_longer_is_masked(
    before: bytes, after: bytes, urlsafe: bool
) -> None:
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode
    whole = encode(before + TOKEN.encode() + after).decode()
    shown = cover(whole, [TOKEN])
    assert shown.count("***") == 1
    # Of what it was there is left what its neighbours have a part in.
    at_most = len(encode(before)) + len(encode(after)) + 4
    assert len(shown) - 3 <= at_most


def test_a_longer_base64_is_masked_where_lines_are_broken() -> None:
    said = base64.encodebytes(KEY.encode()).decode()
    assert set(cover(said, [KEY]).split()[:-1]) == {"***"}


def test_lines_of_a_value_are_masked_each() -> None:
    printed = "".join(f"| {line}\r\n" for line in KEY.splitlines())
    assert cover(printed, [KEY]) == "| ***\r\n" * len(KEY.splitlines())
    assert cover(f"short: {KEY}", ["abc\nabcdefgh"]) == f"short: {KEY}"


def test_a_secret_within_another_shows_nothing_of_that() -> None:
    values = ["token-1234", "x-token-1234-y", "34-yes"]
    assert cover("a x-token-1234-yes b token-1234 c", values) == "a *** b *** c"


def test_without_values_nothing_is_changed() -> None:
    said = bytes(range(256)) * 3
    assert masked([said], []) == said


class Passed:
    """What came out of a pipe that is copied."""

    def __init__(self, values: list[str]) -> None:
        source, self.end = os.pipe()
        self.out = b""
        self._thread = threading.Thread(target=copy, args=[source, self._take, values])
        self._thread.start()

    def _take(self, data: bytes) -> None:
        self.out += data

    def says(self, data: bytes) -> None:
        os.write(self.end, data)

    def close(self) -> None:
        os.close(self.end)
        self._thread.join()


def test_what_is_printed_comes_without_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "PAUSE", 3600)
    passed = Passed(["swordfish"])
    passed.says(b"a prompt without an end> s")
    eventually(lambda: passed.out == b"a prompt without an end> ", "it comes")
    passed.close()
    assert passed.out.endswith(b"> s")


def test_what_may_be_the_beginning_of_a_secret_comes_after_a_pause() -> None:
    passed = Passed(["swordfish"])
    passed.says(b"a prompt without an end> s")
    eventually(lambda: passed.out.endswith(b"> s"), "all of it comes")
    passed.close()


def test_a_pause_within_a_secret_shows_no_more_than_its_beginning() -> None:
    passed = Passed(["swordfish"])
    passed.says(b"it is swo")
    eventually(lambda: passed.out == b"it is swo", "a few bytes are shown")
    passed.says(b"rdfish!")
    eventually(lambda: passed.out == b"it is swo***!", "the rest is masked")
    passed.says(b" sword")
    time.sleep(0.5)
    passed.says(b"fish sword")
    passed.close()
    assert passed.out == b"it is swo***! *** sword"
