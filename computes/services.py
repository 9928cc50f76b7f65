"""What people and the portal itself do with compute targets."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from aml_portal.errors import PortalError, UserError
from aml_portal.queues import enqueue, imports_queue, job_name
from computes.checks import Checks, Outcome
from computes.hosts.ssh_connection import (
    check_agent,
    host_key_of,
    read_key,
    spelled,
)
from computes.models import SSH, ComputeTarget
from computes.ssh_settings import SshSettings, is_host_key
from computes.targets import account_of, host_of, launcher_of

# So long nothing is tried on a target that could not be reached.
_BACK_OFF = timedelta(seconds=20)
# How often the portal checks the targets by itself.
_CHECK_EVERY = timedelta(minutes=5)
_SWEEP_EVERY = timedelta(days=1)
# Of a target's row, what forms ask for.
_SAID = (
    *("description", "max_runs", "takes_runs", "machine", "jump", "gpu_choice"),
    *("gpu_policy", "longest_run", "idle_limit", "give_up_after"),
    *("settings", "secrets"),
)
# A check that was asked for so long ago was lost, with its worker or its broker.
_LOST_AFTER = timedelta(minutes=3)


def save_ssh(
    target: ComputeTarget, *, how: SshSettings, secrets: Mapping[str, str]
) -> ComputeTarget:
    """Attach a machine, or change how it is reached. Raises UserError.

    Without new secrets, those that are kept stay. A host key that was pinned counts for
    its address alone; where it has to be confirmed anew, no run goes there meanwhile.
    """
    before = target.ssh
    target.kind = SSH
    if (before.address, before.port) != (how.address, how.port):
        target.host_key = ""
    has_way_in = bool(target.secrets) or how.agent
    if any(secrets.values()) or not has_way_in:
        _check_secrets(secrets)
    if how.agent:
        check_agent()
    with transaction.atomic():
        _check_loses_no_runs(target, how)
        return save_target(target, settings=how.to_json(), secrets=secrets)


def _check_loses_no_runs(machine: ComputeTarget, how: SshSettings) -> None:
    """Raise UserError if the jobs of runs would be looked for where they are not.

    Those of all targets on the machine. Until the transaction has ended, no further run
    gets a place on one of them.
    """
    if not machine.pk:
        return
    on_it = Q(pk=machine.pk) | Q(machine=machine)
    rows = ComputeTarget.objects.select_for_update().filter(on_it).order_by("pk")
    targets = {target.pk: target for target in rows}
    if targets[machine.pk].ssh.whereabouts == how.whereabouts:
        return
    if count := sum(target.runs.placed().count() for target in targets.values()):
        runs = "1 run is" if count == 1 else f"{count} runs are"
        raise UserError(
            f"{runs} at work on {machine}, and would be lost with another address,"
            " port, user name or working folder.",
            "Wait for their end, cancel them, or give them up; then change it.",
        )


def save_target(
    target: ComputeTarget, *, settings: Mapping[str, Any], secrets: Mapping[str, str]
) -> ComputeTarget:
    """Attach a target, or keep what was changed of it. Raises UserError.

    Without new secrets, those that are kept stay.
    """
    target.settings = dict(settings)
    if any(secrets.values()):
        target.keep_secrets(secrets)
    try:
        target.full_clean()
        with transaction.atomic():
            target.save(update_fields=_said_fields(target) if target.pk else None)
    except ValidationError as error:
        raise UserError(" ".join(error.messages)) from error
    except IntegrityError as error:
        raise UserError("There is a target of this name: take another one.") from error
    return target


def _said_fields(target: ComputeTarget) -> list[str]:
    """What people say of a target: the rest may have been written meanwhile, as that it
    was detached. A host key is taken back here; whoever pins one does so elsewhere.
    """
    return [*_SAID] if target.host_key else [*_SAID, "host_key"]


def _check_secrets(secrets: Mapping[str, str]) -> None:
    if key := secrets.get("private_key"):
        read_key(key, secrets.get("passphrase", ""))
    elif not secrets.get("password"):
        raise UserError(
            "Neither a private key nor a password was given.",
            "Give one of the two, or use the portal's key agent.",
        )


def offered_host_key(target: ComputeTarget) -> str:
    """The key with which the machine answers now. Raises TargetError."""
    via = account_of(target.jump) if target.jump else None
    return spelled(host_key_of(target.ssh.address, target.ssh.port, via=via))


def pin_host_key(target: ComputeTarget, host_key: str) -> None:
    """Trust whoever answers with this key from now on, and nobody else.

    Raises UserError for what is no key.
    """
    if not is_host_key(host_key):
        raise UserError("This is no host key.", "Look at the one that is shown now.")
    ComputeTarget.objects.filter(pk=target.pk).update(
        host_key=host_key, trouble="", leave_alone_until=None
    )
    ask_for_check(target)


def note_seen(targets: Iterable[int]) -> None:
    """Write down that the targets with these keys answer."""
    ComputeTarget.objects.filter(pk__in=targets).update(
        last_seen_at=timezone.now(), trouble="", leave_alone_until=None
    )


def note_trouble(target: ComputeTarget, sentence: str) -> None:
    """Write down why a target can't be used, and leave it alone for a moment."""
    ComputeTarget.objects.filter(pk=target.pk).update(
        trouble=sentence, leave_alone_until=timezone.now() + _BACK_OFF
    )


def keep_gpus(machine: ComputeTarget, look: Mapping[str, Any]) -> None:
    """Keep what a machine has just said of its GPUs."""
    rows = ComputeTarget.objects.filter(pk=machine.pk)
    rows.update(gpu_look=dict(look), gpus_seen_at=timezone.now())


# Checks.


def ask_for_check(target: ComputeTarget) -> None:
    """Have the target checked soon, unless it just is."""
    now = timezone.now()
    is_idle = (
        Q(check_asked_at=None)
        | Q(check_asked_at__lte=F("checked_at"))
        | Q(check_asked_at__lt=now - _LOST_AFTER)
    )
    idle = ComputeTarget.objects.filter(is_idle, pk=target.pk)
    if idle.update(check_asked_at=now, checks=[]):
        job = job_name("check", target.pk, int(now.timestamp() * 1000))
        transaction.on_commit(
            lambda: enqueue(
                imports_queue(), "computes.tasks.check_target", job, target.pk
            )
        )


def ask_for_due_checks() -> None:
    """Have those targets checked that were not for long."""
    due = Q(check_asked_at=None) | Q(check_asked_at__lt=timezone.now() - _CHECK_EVERY)
    for target in ComputeTarget.objects.reachable().filter(due, closed_at=None):
        ask_for_check(target)


def check_target(target: ComputeTarget) -> None:
    """Carry out the checks of a target; each outcome is kept as soon as it is there."""
    row = ComputeTarget.objects.filter(pk=target.pk)
    outcomes: list[Outcome] = []
    facts: dict[str, object] = {}
    try:
        checks = Checks(host=host_of(target), launcher=launcher_of(target))
        for outcome in checks:
            outcomes.append(outcome)
            to_come = checks.names[len(outcomes) :]
            pending = [Outcome(name=name, is_fine=None) for name in to_come]
            row.update(checks=[asdict(each) for each in outcomes + pending])
        facts = checks.facts
    except PortalError as error:
        outcomes.append(Outcome(name="Host key", is_fine=False, detail=str(error)))
    row.update(
        checks=[asdict(each) for each in outcomes],
        checked_at=timezone.now(),
        facts=facts,
    )
    if "gpus" in facts:
        said = ("gpus", "devices"), ("gpu_error", "error"), ("gpu_tool", "has_tool")
        look = {name: facts[fact] for fact, name in said}
        keep_gpus(target.its_machine, look)
    wrong = next((each for each in outcomes if each.is_fine is False), None)
    if wrong is None:
        note_seen([target.pk])
        _sweep_if_due(target)
    else:
        note_trouble(target, wrong.detail)


def _sweep_if_due(target: ComputeTarget) -> None:
    """Once a day; should it fail, that of the next day makes up for it."""
    due = Q(swept_at=None) | Q(swept_at__lt=timezone.now() - _SWEEP_EVERY)
    if ComputeTarget.objects.filter(due, pk=target.pk).update(swept_at=timezone.now()):
        with suppress(PortalError):
            host_of(target).sweep()
