"""Asks nvidia-smi which GPUs there are, how busy they are, and by whom.

Shipped to compute targets: standard library only, Python 3.8 or newer.
"""

from __future__ import annotations

import math
import os
import pwd
import shutil
import subprocess
from typing import Any, Dict, List, Optional

Json = Dict[str, Any]

_DEVICES = "index,name,uuid,utilization.gpu,memory.used,memory.total"
_PROCESSES = "gpu_uuid,pid,used_memory"
# Without a driver that stays loaded, a first answer takes some seconds.
_SECONDS = 10.0


class _Failed(Exception):
    """There is no answer; the message is what nvidia-smi said, or why it did not."""


def look() -> Json:
    """The devices in the order of their numbers; sizes in bytes, None if not known.

    `error` is what is wrong with nvidia-smi, `has_tool` whether there is one.
    """
    program = shutil.which("nvidia-smi")
    if not program:
        return {"devices": [], "error": "", "has_tool": False}
    try:
        devices = [_device(line) for line in _ask(program, "gpu", _DEVICES)]
        by_uuid = {device["uuid"]: device for device in devices}
        for line in _ask(program, "compute-apps", _PROCESSES):
            uuid, pid, used = [part.strip() for part in line.split(",")]
            # Else it is on a slice of a device, whose memory tells of it.
            if uuid in by_uuid:
                by_uuid[uuid]["processes"].append(_process(pid, used))
    except _Failed as error:
        return {"devices": [], "error": str(error), "has_tool": True}
    except ValueError:
        why = "nvidia-smi answers in a form that the portal does not know."
        return {"devices": [], "error": why, "has_tool": True}
    return {"devices": devices, "error": "", "has_tool": True}


def _ask(program: str, what: str, fields: str) -> List[str]:
    """The lines of an answer. Raises _Failed."""
    command = [program, "--query-%s=%s" % (what, fields)]
    command.append("--format=csv,noheader,nounits")
    try:
        asking = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = asking.communicate(timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        # Not waited for: where a driver hangs, not even SIGKILL ends it.
        asking.kill()
        said = "nvidia-smi did not answer within %d seconds." % _SECONDS
        raise _Failed(said) from None
    except OSError as error:
        raise _Failed("nvidia-smi can't be started: %s." % error.strerror) from None
    if asking.returncode:
        said = " ".join((out or err).decode(errors="replace").split())[:500]
        raise _Failed("nvidia-smi failed with %d: %s" % (asking.returncode, said))
    return [line for line in out.decode(errors="replace").splitlines() if line.strip()]


def _device(line: str) -> Json:
    index, rest = line.split(",", 1)
    name, uuid, util, used, total = [part.strip() for part in rest.rsplit(",", 4)]
    return {
        "index": int(index),
        "name": name,
        "uuid": uuid,
        "util_percent": _number(util),
        "memory_used": _bytes(used),
        "memory": _bytes(total),
        "processes": [],
    }


def _process(pid: str, used: str) -> Json:
    return {"pid": pid, "owner": _owner(pid), "memory": _bytes(used)}


def _owner(pid: str) -> str:
    """The account of a process; empty if it can't be told, as from a container."""
    if not pid.isdigit():
        return ""
    try:
        uid = os.stat("/proc/" + pid).st_uid
    except OSError:
        return ""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _number(text: str) -> Optional[float]:
    """None for "[N/A]", "[Not Supported]" and the like."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _bytes(mebibytes: str) -> Optional[int]:
    number = _number(mebibytes)
    return None if number is None else int(number) << 20
