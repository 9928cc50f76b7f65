"""What a runner tells, and the states that it leads to."""

from datetime import UTC, datetime
from typing import Any

import pytest

from runs import progress
from runs.models import Run
from runs.reports import EndedProcess, Event, LastWord, LogFacts, Receipt
from runs.status import EndReason, RunStatus
from tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_server")]
BEGUN, ENDED = 1_700_000_000.0, 1_700_000_090.5


def starting() -> Run:
    run = factories.submit()
    run.move(RunStatus.PREPARING)
    run.move(RunStatus.STARTING)
    return run


def word(reason: str, **facts: Any) -> LastWord:
    log = LogFacts(bytes=0, sha256="")
    times = {"started": BEGUN, "ended": ENDED}
    return LastWord(reason=reason, log=log, **{**times, **facts})


def receipt(ended: int, left: int = 0) -> Receipt:
    process = EndedProcess(pid=1, name="python", signals=[], ended=ENDED)
    return Receipt(asked=BEGUN, grace_seconds=5, processes=[process] * ended, left=left)


def states(run: Run) -> list[str]:
    return list(run.events.exclude(status="").values_list("status", flat=True))


def test_events_told_twice_move_once() -> None:
    run = starting()
    for _ in range(2):
        progress.apply_event(run, Event(event="started", time=BEGUN))
        progress.apply_event(run, Event(event="exited", time=ENDED, exit_code=0))
    assert states(run)[-2:] == ["Running", "Finalizing"]
    run.refresh_from_db()
    assert run.started_at == datetime.fromtimestamp(BEGUN, UTC)


def test_a_last_word_told_twice_ends_once() -> None:
    run = starting()
    for _ in range(2):
        progress.settle(run, word("exited", exit_code=0))
    assert states(run)[-1] == "Completed"
    assert states(run).count("Completed") == 1
    assert (run.duration, run.exit_code) == (90.5, 0)


def test_events_after_the_end_change_nothing() -> None:
    run = starting()
    progress.settle(run, word("exited", exit_code=0))
    progress.apply_event(run, Event(event="started", time=BEGUN))
    progress.lose(run, "Gone.")
    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED


@pytest.mark.parametrize(
    ("said", "status", "reason", "error"),
    [
        (word("exited", exit_code=0), "Completed", EndReason.SUCCEEDED, ""),
        (
            word("exited", exit_code=3),
            "Failed",
            EndReason.EXIT_CODE,
            "The script ended with exit code 3.",
        ),
        (
            word("signaled", signal=6),
            "Failed",
            EndReason.SIGNAL,
            "The script was ended by SIGABRT.",
        ),
        (
            word("signaled", signal=9),
            "Failed",
            EndReason.SIGNAL,
            (
                "The script was ended by SIGKILL."
                " The system does this when memory runs out."
            ),
        ),
        (
            word("signaled", signal=63),
            "Failed",
            EndReason.SIGNAL,
            "The script was ended by signal 63.",
        ),
        (
            word("canceled", receipt=receipt(3)),
            "Canceled",
            EndReason.CANCELED,
            "The run was canceled. 3 processes were ended, none left.",
        ),
        (
            word("max_duration", receipt=receipt(1, left=2)),
            "Canceled",
            EndReason.MAX_DURATION,
            "The run reached its maximum duration. 1 process was ended, 2 left.",
        ),
        (
            word("start_failed", detail="python can't be started: No such file."),
            "Failed",
            EndReason.START_FAILED,
            "python can't be started: No such file.",
        ),
        (
            word("canceled_before_start", detail="The disk was full."),
            "Failed",
            EndReason.SUBMIT_FAILED,
            "The disk was full.",
        ),
        (
            word("host_signal"),
            "Failed",
            EndReason.HOST_SIGNAL,
            "The system of the compute target ended the run.",
        ),
        (
            word("lost", detail="The machine restarted."),
            "Failed",
            EndReason.LOST,
            "The machine restarted.",
        ),
        (word("from the future", detail="?"), "Failed", EndReason.LOST, "?"),
    ],
)
def test_a_last_word_has_its_state_and_sentence(
    said: LastWord, status: str, reason: EndReason, error: str
) -> None:
    run = starting()
    progress.settle(run, said)
    run.refresh_from_db()
    assert (run.status, run.end_reason, run.error) == (status, reason, error)


def test_a_cancel_before_the_start_is_the_person_s() -> None:
    run = starting()
    run.move(RunStatus.CANCEL_REQUESTED, cancel_requested_at=datetime.now(UTC))
    progress.settle(run, word("canceled_before_start", started=None))
    assert run.status == RunStatus.CANCELED
    assert run.error == "The run was canceled. The script had not been started."
    assert run.duration is None


def test_a_clock_that_was_set_back_makes_no_negative_duration() -> None:
    run = starting()
    progress.settle(run, word("exited", exit_code=0, ended=BEGUN - 3600))
    assert run.duration == 0


@pytest.mark.parametrize(
    ("seen", "status"),
    [
        ([], RunStatus.STARTING),
        (["started"], RunStatus.RUNNING),
        (["started", "exited"], RunStatus.FINALIZING),
    ],
)
def test_a_run_comes_back_to_where_its_events_say(
    seen: list[str], status: RunStatus
) -> None:
    run = starting()
    assert progress.stop_responding(run, "Not heard from.")
    progress.respond_again(run, [Event(event=name, time=BEGUN) for name in seen])
    assert run.status == status


def test_a_run_whose_cancel_was_asked_comes_back_to_that() -> None:
    run = starting()
    run.move(RunStatus.CANCEL_REQUESTED, cancel_requested_at=datetime.now(UTC))
    progress.stop_responding(run, "Not heard from.")
    progress.respond_again(run, [])
    assert run.status == RunStatus.CANCEL_REQUESTED
