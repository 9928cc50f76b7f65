"""When those who wait will probably begin, whatever the queue looks like."""

import time

from hypothesis import given, strategies as st

from runs.estimate import FARTHEST, FEWEST, AtWork, start_spans

seconds = st.floats(min_value=0.01, max_value=1e6)
histories = st.lists(seconds, min_size=FEWEST, max_size=30)
works = st.builds(AtWork, elapsed=seconds, gpus=st.integers(0, 3))
at_works = st.lists(works, max_size=6)
waitings = st.lists(st.integers(0, 4), min_size=1, max_size=12)
places = st.integers(1, 4)
devices = st.integers(0, 4)


@given(st.lists(seconds, max_size=FEWEST - 1), at_works, waitings, places)
def test_from_too_few_runs_nothing_is_told(
    history: list[float], at_work: list[AtWork], waiting: list[int], places: int
) -> None:
    spans = start_spans(
        history=history, at_work=at_work, waiting=waiting, places=places
    )
    assert spans == [None] * len(waiting)


@given(histories, at_works, waitings, places, devices)
def test_nobody_begins_in_the_past_or_earlier_than_early(
    history: list[float],
    at_work: list[AtWork],
    waiting: list[int],
    places: int,
    devices: int,
) -> None:
    spans = start_spans(
        history=history, at_work=at_work, waiting=waiting, places=places, gpus=devices
    )
    assert len(spans) == len(waiting)
    for span in spans:
        assert span is None or 0 <= span.early <= span.late


@given(histories, at_works, st.integers(1, 12), places)
def test_who_is_behind_begins_no_earlier(
    history: list[float], at_work: list[AtWork], count: int, places: int
) -> None:
    spans = start_spans(
        history=history, at_work=at_work, waiting=[0] * count, places=places
    )
    told = [span for span in spans if span]
    # Where it can't be told for one, neither for those behind.
    assert spans == [*told, *[None] * (count - len(told))]
    assert told == sorted(told)


@given(histories, at_works, waitings, places, devices, st.integers(0, 4))
def test_one_more_at_the_end_changes_nothing_for_the_others(
    history: list[float],
    at_work: list[AtWork],
    waiting: list[int],
    places: int,
    devices: int,
    more: int,
) -> None:
    def spans(waiting: list[int]) -> list[object]:
        return list(
            start_spans(
                history=history,
                at_work=at_work,
                waiting=waiting,
                places=places,
                gpus=devices,
            )
        )

    assert spans([*waiting, more])[: len(waiting)] == spans(waiting)


@given(histories, at_works, st.integers(1, 8), places)
def test_another_place_delays_nobody(
    history: list[float], at_work: list[AtWork], count: int, places: int
) -> None:
    few, many = (
        start_spans(
            history=history, at_work=at_work, waiting=[0] * count, places=places + more
        )
        for more in (0, 1)
    )
    for one, other in zip(few, many, strict=True):
        assert one is None or (other is not None and other <= one)


@given(histories, waitings, places, devices)
def test_those_that_fit_begin_at_once(
    history: list[float], waiting: list[int], places: int, devices: int
) -> None:
    spans = start_spans(
        history=history, at_work=[], waiting=waiting, places=places, gpus=devices
    )
    for number in range(min(places, len(waiting))):
        if sum(waiting[: number + 1]) > devices:
            break
        assert spans[number] == (0, 0)


def test_a_run_lasts_as_long_as_those_that_have_lasted_so_long() -> None:
    (span,) = start_spans(
        history=[10.0] * 20 + [100.0] * 5,
        at_work=[AtWork(elapsed=40)],
        waiting=[0],
        places=1,
    )
    assert span == (60, 60)


def test_a_run_that_takes_longer_than_any_is_not_expected_to_end() -> None:
    history = [10.0] * 20
    late = AtWork(elapsed=11)
    (one,) = start_spans(history=history, at_work=[late], waiting=[0], places=1)
    assert one is None
    # The other place is told of all the same.
    work = [late, AtWork(elapsed=4)]
    (other,) = start_spans(history=history, at_work=work, waiting=[0], places=2)
    assert other == (6, 6)


def test_gpus_are_waited_for_in_order_and_by_those_only_who_need_them() -> None:
    spans = start_spans(
        history=[10.0] * 20,
        at_work=[AtWork(elapsed=4, gpus=1)],
        waiting=[2, 1, 0],
        places=4,
        gpus=2,
    )
    assert spans == [(6, 6), (16, 16), (0, 0)]


def test_more_gpus_than_there_are_come_never() -> None:
    spans = start_spans(
        history=[10.0] * 20, at_work=[], waiting=[3, 1, 0], places=1, gpus=2
    )
    assert spans == [None, None, (0, 0)]


def test_a_long_queue_is_played_through_no_further_than_a_page_can_wait() -> None:
    count = 50 * FARTHEST
    begin = time.process_time()
    spans = start_spans(history=[10.0] * 20, at_work=[], waiting=[0] * count, places=8)
    assert time.process_time() - begin < 2
    assert len(spans) == count
    assert None not in spans[:FARTHEST]
    assert set(spans[FARTHEST:]) == {None}
