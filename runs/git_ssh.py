"""What git starts in place of the program `ssh`, so that no key is ever on the disk.

Whom to talk to, and as whom, is in the environment, which no other account sees. Of the
words that git adds, only the last one counts: the command.
"""

import json
import os
import sys
import threading

import paramiko

from aml_portal.errors import TargetError
from computes.hosts.ssh_connection import SshAccount, SshConnection

ACCOUNT = "PORTAL_SSH_ACCOUNT"
# Seconds without a word from the server.
_SILENCE = 30
_BLOCK = 64 * 1024


def main() -> int:
    account = SshAccount(**json.loads(os.environ.pop(ACCOUNT)))
    try:
        channel = SshConnection(account).execute(sys.argv[-1])
    except TargetError as error:
        return _tell(error)
    channel.settimeout(_SILENCE)
    sending, complaining = (
        threading.Thread(target=work, args=[channel], daemon=True)
        for work in (_send, _complain)
    )
    sending.start()
    complaining.start()
    try:
        while block := channel.recv(_BLOCK):
            sys.stdout.buffer.write(block)
            sys.stdout.buffer.flush()
    except TimeoutError as error:
        return _tell(error)
    # Why it failed is said beside.
    complaining.join(_SILENCE)
    channel.status_event.wait(_SILENCE)
    return channel.exit_status


def _send(channel: paramiko.Channel) -> None:
    while block := os.read(sys.stdin.fileno(), _BLOCK):
        channel.sendall(block)
    channel.shutdown_write()


def _complain(channel: paramiko.Channel) -> None:
    while block := channel.recv_stderr(_BLOCK):
        sys.stderr.buffer.write(block)
        sys.stderr.buffer.flush()


def _tell(error: Exception) -> int:
    """Only which one it is: runs/git_failures.py has the words for a person."""
    sys.stderr.write(f"portal: {type(error).__name__}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
