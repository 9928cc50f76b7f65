"""Tells what a machine has and how busy it is.

Shipped to compute targets: standard library only, Python 3.8 or newer.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import shutil
import sys
from typing import Any, Dict, Optional

Json = Dict[str, Any]


def facts(root: str, gpus: Json) -> Json:
    """What there is for jobs below `root`, and `gpus`, which gpus.py has just told.

    Sizes in bytes, and None if not known.
    """
    os.makedirs(root, mode=0o700, exist_ok=True)
    disk = shutil.disk_usage(root)
    memory = _memory()
    return {
        "host": platform.node(),
        "python": platform.python_version(),
        "executable": sys.executable,
        "machine": platform.machine(),
        "glibc": platform.libc_ver()[1],
        "cuda": _cuda(),
        "cpus": os.cpu_count(),
        "load": _load(),
        "memory": memory.get("MemTotal"),
        "memory_free": memory.get("MemAvailable"),
        "disk": disk.total,
        "disk_free": disk.free,
        "write_error": _write_error(root),
        "gpus": gpus["devices"],
        "gpu_error": gpus["error"],
        "gpu_tool": gpus["has_tool"],
    }


def _cuda() -> str:
    """The newest CUDA that the driver knows, such as "12.4"; "" without a driver."""
    version = ctypes.c_int()
    try:
        # Told without waking a GPU.
        ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(version))
    except (OSError, AttributeError):
        return ""
    # 12.4 is 12040.
    return "%d.%d" % divmod(version.value // 10, 100) if version.value else ""


def _load() -> Optional[float]:
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None


def _memory() -> Dict[str, int]:
    """The lines of /proc/meminfo, in bytes."""
    found = {}
    with contextlib.suppress(OSError, ValueError), open("/proc/meminfo") as file:
        for line in file:
            name, _, value = line.partition(":")
            found[name] = int(value.split()[0]) * 1024
    return found


def _write_error(root: str) -> str:
    """Why nothing can be written; empty if it can, all the way to the disk."""
    path = os.path.join(root, "check.%s" % os.urandom(4).hex())
    try:
        with open(path, "wb") as file:
            file.write(bytes(1 << 16))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.strerror or str(error)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(path)
    return ""
