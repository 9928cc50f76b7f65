"""The table of states: what it promises, whatever is added to it."""

import pytest

from runs.status import (
    ACTIVE,
    END_STATUS,
    FOLLOWED,
    PLACED,
    TERMINAL,
    TRANSITIONS,
    EndReason,
    RunStatus,
    sources,
)


def test_every_state_has_a_row() -> None:
    assert set(TRANSITIONS) == set(RunStatus)


def test_final_states_have_no_exit() -> None:
    assert all(TRANSITIONS[status] == () for status in TERMINAL)


@pytest.mark.parametrize("status", ACTIVE)
def test_every_active_state_can_end(status: RunStatus) -> None:
    reached, found = {status}, [status]
    while found:
        for exit_ in TRANSITIONS[found.pop()]:
            if exit_ not in reached:
                reached.add(exit_)
                found.append(exit_)
    assert reached & set(TERMINAL)


def test_only_not_responding_goes_back() -> None:
    order = list(RunStatus)
    back = {
        status
        for status, exits in TRANSITIONS.items()
        for exit_ in exits
        if order.index(exit_) < order.index(status)
    }
    assert back == {RunStatus.NOT_RESPONDING}


def test_sources_are_the_reverse_of_transitions() -> None:
    assert sources(RunStatus.PREPARING) == [RunStatus.QUEUED]
    assert RunStatus.CANCEL_REQUESTED not in sources(RunStatus.RUNNING)


def test_what_is_followed_holds_a_place() -> None:
    assert set(FOLLOWED) < set(PLACED) < set(ACTIVE)


def test_every_reason_ends_a_run() -> None:
    assert set(END_STATUS) == set(EndReason)
    assert set(END_STATUS.values()) == set(TERMINAL)
