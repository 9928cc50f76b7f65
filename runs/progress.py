"""Turns what a runner reports into states of a run.

Everything here may be told twice, after a crash or by two monitors: a state is moved
to by whoever comes first, and for the others nothing happens.
"""

import signal
from collections.abc import Iterable

from aml_portal.durations import short_duration, spell_duration
from environments import builds
from runs.dispatch import dispatch, enqueue_clean
from runs.environment_events import environment_events
from runs.giving_up import learn_end
from runs.models import Run
from runs.reports import Event, LastWord, moment
from runs.status import FOLLOWED, EndReason, RunStatus


def apply_event(run: Run, event: Event) -> None:
    time = moment(event.time)
    match event.event:
        case "started":
            Run.objects.filter(pk=run.pk, started_at=None).update(started_at=time)
            run.move(
                RunStatus.RUNNING,
                reason="The script was started.",
                time=time,
                only_from=(RunStatus.STARTING,),
            )
        case "environment":
            _take_environment(run, event)
        case "exited":
            run.move(
                RunStatus.FINALIZING,
                reason=_exit_sentence(event.exit_code, event.signal),
                time=time,
                only_from=(RunStatus.STARTING, RunStatus.RUNNING),
            )


_ENVIRONMENT = {
    "building": "Its environment is being built.",
    "waiting": "Another run builds its environment; this one waits.",
    "hit": "Its environment was there already.",
}


def _take_environment(run: Run, event: Event) -> None:
    time = moment(event.time)
    builds.note(
        run.target,
        key=event.key,
        state=event.state,
        time=time,
        seconds=event.seconds,
        size=event.bytes,
    )
    if run.status not in (RunStatus.STARTING, RunStatus.NOT_RESPONDING):
        # It is told once more, after this process was started anew.
        return
    sentence = _ENVIRONMENT.get(event.state, "")
    if event.state == "built":
        sentence = f"Its environment was built in {short_duration(event.seconds or 0)}."
    if sentence and not run.events.filter(detail=sentence).exists():
        run.note(sentence, time=time)


def settle(run: Run, word: LastWord) -> None:
    """Take the runner's last word: the run ends as it says."""
    if word.started is not None:
        started = moment(word.started)
        Run.objects.filter(pk=run.pk, started_at=None).update(started_at=started)
    run.refresh_from_db()
    why = _end_reason(run, word)
    ended = run.end(
        why,
        detail=_end_sentence(run, why, word),
        time=moment(word.ended),
        exit_code=word.exit_code,
        only_from=(RunStatus.PREPARING, *FOLLOWED),
    )
    if ended:
        _let_go(run)
    else:
        learn_end(run, _end_sentence(run, why, word))


def lose(run: Run, sentence: str) -> None:
    """End a run of which nothing more can ever be known."""
    if run.end(EndReason.LOST, detail=sentence, only_from=FOLLOWED):
        _let_go(run)
    else:
        learn_end(run, sentence)


def _let_go(run: Run) -> None:
    """What the end of a run means to others."""
    others = Run.objects.active().filter(environment_id=run.environment_id)
    begun = [each.key for each in environment_events(run.run_id).events]
    if begun and not others.exists():
        builds.give_up(run.target, begun)
    dispatch(run.target)
    enqueue_clean(run)


def stop_responding(run: Run, sentence: str) -> bool:
    return run.move(RunStatus.NOT_RESPONDING, reason=sentence)


def respond_again(run: Run, events: Iterable[Event]) -> None:
    """Bring a run back from NotResponding to where its events say that it is."""
    seen = {event.event for event in events}
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
    "idle": EndReason.IDLE,
    "start_failed": EndReason.START_FAILED,
    "prepare_failed": EndReason.PREPARE_FAILED,
    "submit_failed": EndReason.SUBMIT_FAILED,
    "host_signal": EndReason.HOST_SIGNAL,
}


def _end_reason(run: Run, word: LastWord) -> EndReason:
    match word.reason:
        case "exited":
            failed = word.exit_code != 0
            return EndReason.EXIT_CODE if failed else EndReason.SUCCEEDED
        case "canceled_before_start" if run.cancel_requested_at is None:
            # No person wanted that: its launcher saw that it would never begin.
            return EndReason.SUBMIT_FAILED
        case "canceled_before_start":
            return EndReason.CANCELED
    return _END_REASONS.get(word.reason, EndReason.LOST)


def _end_sentence(run: Run, why: EndReason, word: LastWord) -> str:
    match why:
        case EndReason.EXIT_CODE | EndReason.SIGNAL:
            return _exit_sentence(word.exit_code, word.signal)
        case EndReason.CANCELED | EndReason.MAX_DURATION | EndReason.IDLE:
            return f"{_limit_sentence(run, why, word)} {_receipt_sentence(word)}"
        case EndReason.SUCCEEDED:
            return str(why.label)
    if why == EndReason.PREPARE_FAILED:
        return f"{why.label} {word.detail}".strip()
    return word.detail or str(why.label)


def _limit_sentence(run: Run, why: EndReason, word: LastWord) -> str:
    """What the run was ended for."""
    if why == EndReason.IDLE and word.idle_seconds is not None:
        seconds = spell_duration(round(word.idle_seconds))
        return (
            f"The run was idle: for {seconds} it printed nothing, and used less than"
            " 1 % of a CPU and no GPU."
        )
    own = run.configuration.max_run_duration_seconds
    if why == EndReason.MAX_DURATION and run.target.limited(own) != own:
        return f"The run took longer than runs on {run.target} may take."
    return str(why.label)


def _exit_sentence(exit_code: int | None, number: int | None) -> str:
    if number is None:
        return f"The script ended with exit code {exit_code}."
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    sentence = f"The script was ended by {name}."
    if name == "SIGKILL":
        sentence += " The system does this when memory runs out."
    return sentence


def _receipt_sentence(word: LastWord) -> str:
    receipt = word.receipt
    if receipt is None:
        return "The script had not been started."
    ended = len(receipt.processes)
    processes = "1 process was" if ended == 1 else f"{ended} processes were"
    return f"{processes} ended, {receipt.left or 'none'} left."
