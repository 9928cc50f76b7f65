"""What the portal knows of a Slurm cluster, and what may be given to sbatch."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from aml_portal.errors import UserError

_OPTION = re.compile(r"--([a-z][a-z-]+)(=[^\0\n]*)?")
# The portal relies on its own, or they are no options of a job. sbatch takes the
# beginning of a name for the name.
_RESERVED = (
    *("array", "chdir", "comment", "error", "export-file", "gid", "help"),
    *("ignore-pbs", "input", "job-name", "no-requeue", "open-mode", "output"),
    *("parsable", "quiet", "requeue", "signal", "test-only", "uid", "usage"),
    *("version", "wait", "wrap"),
)


@dataclass(frozen=True, kw_only=True)
class SlurmSettings:
    """How jobs are submitted; what is empty or 0 is left to Slurm.

    `programs` is the folder of its programs, `conf` the file that they read, where
    these are not the usual ones. CPUs are those of a task, memory and GPUs of a node.
    """

    partition: str = ""
    account: str = ""
    qos: str = ""
    cpus: int = 0
    memory: str = ""
    gpus: int = 0
    extra: str = ""
    mpi: str = ""
    programs: str = ""
    conf: str = ""

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "SlurmSettings":
        known = {field.name for field in fields(cls)} & kept.keys()
        return cls(**{name: kept[name] for name in known if kept[name]})

    @property
    def extra_options(self) -> list[str]:
        return list(extra_options(self.extra))


def extra_options(text: str) -> Iterator[str]:
    """The options of sbatch in a text, one in each line. Raises UserError."""
    for line in filter(None, map(str.strip, text.splitlines())):
        found = _OPTION.fullmatch(line)
        if found is None:
            raise UserError(
                f"“{line}” is no option of sbatch.",
                "Write one in a line, as in --constraint=a100.",
            )
        if reserved := [name for name in _RESERVED if name.startswith(found[1])]:
            raise UserError(
                f"“{line}” can't be given: the portal sets or needs"
                f" --{reserved[0]} itself.",
                "Remove the line.",
            )
        yield line
