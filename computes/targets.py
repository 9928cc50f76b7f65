"""From compute targets to the hosts that they are on."""

import json
import threading
from dataclasses import asdict

from django.conf import settings
from django.utils.crypto import salted_hmac

from aml_portal.errors import TargetError
from computes import models
from computes.hosts import Host
from computes.hosts.local import LocalHost
from computes.hosts.ssh import SshHost
from computes.hosts.ssh_connection import SshAccount
from computes.launchers import Launcher
from computes.models import ComputeTarget

_lock = threading.Lock()
# Hosts with a connection that lasts, by the target's key; for the settings of then.
_connected: dict[int, SshHost] = {}


def host_of(target: ComputeTarget) -> Host:
    """The host of a target; targets on one machine share it, and its stream.

    Raises TargetError where nobody has said yet who answers there.
    """
    machine = target.machine or target
    match machine.kind:
        case models.LOCAL:
            return LocalHost(settings.JOBS_FOLDER)
        case models.SSH:
            return _ssh_host(machine)
    raise ValueError(f"{machine.kind} is no kind of machine")


def launcher_of(target: ComputeTarget) -> Launcher:
    """What starts the jobs of a target. Raises TargetError as `host_of` does."""
    return target.its_kind.launcher(target, host_of(target))


def account_of(target: ComputeTarget) -> SshAccount:
    """How the target is reached, with its secrets in clear. Raises TargetError."""
    if not target.host_key:
        raise TargetError(
            f"The host key of {target} is not confirmed.",
            "An administrator has to look at it first.",
        )
    how, secrets = target.ssh, target.reveal_secrets()
    return SshAccount(
        address=how.address,
        port=how.port,
        user=how.user,
        host_key=target.host_key,
        password=secrets.get("password", ""),
        private_key=secrets.get("private_key", ""),
        passphrase=secrets.get("passphrase", ""),
        agent=how.agent,
        jump=account_of(target.jump) if target.jump else None,
    )


def _ssh_host(target: ComputeTarget) -> SshHost:
    """One for each target, so that its connection lasts; another after a change."""
    account, how = account_of(target), target.ssh
    # All that tells one from another, also of the machines on the way. It is in logs,
    # and nobody is to guess at a password there.
    everything = json.dumps([asdict(account), how.to_json()])
    digest = salted_hmac("computes.targets", everything, algorithm="sha256")
    key = f"ssh-{target.pk}-{digest.hexdigest()[:16]}"
    with _lock:
        host = _connected.get(target.pk)
        if host is None or host.key != key:
            if host is not None:
                host.close()
            host = SshHost(account, key=key, root=how.root, python=how.python)
            _connected[target.pk] = host
        return host
