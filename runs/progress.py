"""Turns what a runner reports into states of a run.

Everything here may be told twice, after a crash or by two monitors: a state is moved
to by whoever comes first, and for the others nothing happens.
"""

import json
import signal
from datetime import UTC, datetime
from typing import Any

from runs.dispatch import dispatch, enqueue_clean
from runs.models import Run
from runs.status import FOLLOWED, EndReason, RunStatus

# Beyond this no clock of a computer is right, and some dates can't be shown.
_LATEST = 4e9


def read_event(line: bytes) -> dict[str, Any] | None:
    """The event in a line of `events.jsonl`; None if it is none.

    Only the runner should write there, but the script can.
    """
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        return None
    return event if _is_time(event.get("time")) else None


def apply_event(run: Run, event: dict[str, Any]) -> None:
    """Take an event that `read_event` has found."""
    time = _time(event["time"])
    match event["event"]:
        case "started":
            Run.objects.filter(pk=run.pk, started_at=None).update(started_at=time)
            run.move(
                RunStatus.RUNNING,
                reason="The script was started.",
                time=time,
                only_from=(RunStatus.STARTING,),
            )
        case "exited":
            run.move(
                RunStatus.FINALIZING,
                reason=_exit_sentence(event),
                time=time,
                only_from=(RunStatus.STARTING, RunStatus.RUNNING),
            )


def settle(run: Run, record: dict[str, Any]) -> None:
    """Take the runner's last word, `exit.json`: the run ends as it says."""
    if not (_is_time(record.get("ended")) and isinstance(record.get("reason"), str)):
        lose(run, "The runner's last word, exit.json, can't be understood.")
        return
    if _is_time(record.get("started")):
        started = _time(record["started"])
        Run.objects.filter(pk=run.pk, started_at=None).update(started_at=started)
    run.refresh_from_db()
    why = _end_reason(run, record)
    ended = run.end(
        why,
        detail=_end_sentence(why, record),
        time=_time(record["ended"]),
        exit_code=record.get("exit_code"),
        only_from=(RunStatus.PREPARING, *FOLLOWED),
    )
    if ended:
        dispatch(run.target)
        enqueue_clean(run)


def lose(run: Run, sentence: str) -> None:
    """End a run of which nothing more can ever be known."""
    if run.end(EndReason.LOST, detail=sentence, only_from=FOLLOWED):
        dispatch(run.target)


def stop_responding(run: Run, sentence: str) -> bool:
    return run.move(RunStatus.NOT_RESPONDING, reason=sentence)


def respond_again(run: Run, events: list[dict[str, Any]]) -> None:
    """Bring a run back from NotResponding to where its events say that it is."""
    seen = {event["event"] for event in events}
    if run.cancel_requested_at:
        to = RunStatus.CANCEL_REQUESTED
    elif "exited" in seen:
        to = RunStatus.FINALIZING
    elif "started" in seen:
        to = RunStatus.RUNNING
    else:
        to = RunStatus.STARTING
    run.move(
        to,
        reason="The compute target answers again.",
        only_from=(RunStatus.NOT_RESPONDING,),
    )


_END_REASONS = {
    "signaled": EndReason.SIGNAL,
    "canceled": EndReason.CANCELED,
    "max_duration": EndReason.MAX_DURATION,
    "start_failed": EndReason.START_FAILED,
    "host_signal": EndReason.HOST_SIGNAL,
}


def _end_reason(run: Run, record: dict[str, Any]) -> EndReason:
    match record["reason"]:
        case "exited":
            failed = record.get("exit_code") != 0
            return EndReason.EXIT_CODE if failed else EndReason.SUCCEEDED
        case "canceled_before_start" if run.cancel_requested_at is None:
            # Nobody wanted that: a submission that failed has seen to it.
            return EndReason.SUBMIT_FAILED
        case "canceled_before_start":
            return EndReason.CANCELED
    return _END_REASONS.get(record["reason"], EndReason.LOST)


def _end_sentence(why: EndReason, record: dict[str, Any]) -> str:
    match why:
        case EndReason.EXIT_CODE | EndReason.SIGNAL:
            return _exit_sentence(record)
        case EndReason.CANCELED | EndReason.MAX_DURATION:
            return f"{why.label} {_receipt_sentence(record)}".strip()
        case EndReason.SUCCEEDED:
            return str(why.label)
    return record.get("detail") or str(why.label)


def _exit_sentence(record: dict[str, Any]) -> str:
    number = record.get("signal")
    if number is None:
        return f"The script ended with exit code {record.get('exit_code')}."
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    sentence = f"The script was ended by {name}."
    if name == "SIGKILL":
        sentence += " The system does this when memory runs out."
    return sentence


def _receipt_sentence(record: dict[str, Any]) -> str:
    receipt = record.get("receipt")
    if not receipt:
        return "The script had not been started."
    ended = len(receipt["processes"])
    processes = "1 process was" if ended == 1 else f"{ended} processes were"
    return f"{processes} ended, {receipt['left'] or 'none'} left."


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and 0 < value < _LATEST


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
