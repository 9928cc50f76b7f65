"""Starts jobs by sbatch, and sees what squeue tells of them."""

import json
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from django.conf import settings as portal

from aml_portal.errors import TargetError, UserError
from computes.hosts import Host, Ran, TargetAwayError
from computes.launchers import Leftover, Sight
from computes.launchers.base import Spec
from computes.launchers.slurm.client import SlurmClient, trouble
from computes.launchers.slurm.jobs import COMMENT, PREFIX, SlurmJob, jobs
from computes.launchers.slurm.partitions import limits_of, partitions, told
from computes.launchers.slurm.request import Request
from computes.launchers.slurm.script import batch_script
from computes.launchers.slurm.settings import SlurmSettings
from computes.launchers.slurm.times import time_options

_GONE = Sight(words="Slurm does not know the job any more.", is_over=True)


class SlurmLauncher:
    """Each job of the portal is a batch job of the name `aml-` and its folder's.

    Slurm forgets a job minutes after its end, and without accounting for ever. So the
    runner, which the batch script executes, tells how it ended, and the name tells
    whether a job was submitted.
    """

    def __init__(self, host: Host, settings: SlurmSettings) -> None:
        self._host = host
        self._settings = settings
        self._slurm = SlurmClient(host, settings)

    def spec(self, spec: Spec, options: Mapping[str, Any]) -> Spec:
        settings = self._settings
        request = Request.of(settings, spec, options)
        argv = spec["argv"]
        if request.is_many:
            place = self._host.place(spec["id"])
            srun = self._slurm.path("srun")
            argv = [*request.many(settings, srun, place), *argv]
        asked = {
            "options": request.options(settings),
            "partition": request.partition,
            "time": request.time,
        }
        return {**spec, "argv": argv, "apart": True, "slurm": asked}

    def start(self, job: str, spec: Spec) -> dict[str, Any]:
        """Submit it; the runner's part serialises that, so that none is twice."""
        place = self._host.place(job)
        name = f"{PREFIX}{job}"
        find = ("--me", "--noheader", "--states=all", f"--name={name}", "--format=%A")
        asked = {
            "find": self._slurm.command("squeue", *find),
            "submit": self._slurm.command("sbatch", *self._options(name, spec)),
            "script": batch_script(place),
        }
        command = [place.python, "-I", "-S", place.runner, "submit", place.folder]
        ran = self._host.run(command, stdin=json.dumps(asked).encode(), seconds=90.0)
        if ran.code != 0:
            raise TargetAwayError(f"The answer of Slurm got lost: {ran.complaint}.")
        answer = json.loads(ran.out)
        if "number" in answer:
            return {"slurm_job": answer["number"]}
        err = answer["err"].encode()
        raise trouble(answer["program"], Ran(code=answer["code"], out=b"", err=err))

    def _options(self, name: str, spec: Spec) -> list[str]:
        asked = spec["slurm"]
        limits = limits_of(partitions(self._slurm), asked["partition"])
        return [
            *asked["options"],
            *time_options(spec, asked["time"], limits),
            f"--job-name={name}",
            f"--comment={COMMENT}{portal.PORTAL_ID}",
            *("--parsable", "--no-requeue", "--chdir=/"),
            *("--input=/dev/null", "--output=/dev/null"),
        ]

    def look(self, jobs: Collection[str]) -> Mapping[str, Sight]:
        known = self._look()
        return {job: known[job].sight() if job in known else _GONE for job in jobs}

    def end(self, job: str) -> None:
        self._slurm.ask("scancel", "--me", "--quiet", f"--name={PREFIX}{job}")

    def leftovers(self) -> list[Leftover]:
        self._check_conf()
        return [
            Leftover(
                job=job.name,
                words=f"Slurm job {job.number}. {job.sight().words}",
                since=_moment(job.submitted),
                portal=job.portal,
            )
            for job in self._look().values()
            if not job.is_over
        ]

    def checks(self) -> Mapping[str, Callable[[], str]]:
        return {"Slurm": self._check_version, "Partitions": self._check_partitions}

    def _look(self) -> Mapping[str, SlurmJob]:
        return jobs(self._slurm)

    def _check_conf(self) -> None:
        """For who looks on: without it, Slurm's programs would wait for a minute."""
        conf = self._settings.conf
        if conf and self._host.run(["test", "-r", conf]).code != 0:
            raise TargetError(f"There is no {conf} to be read on the machine.")

    def _check_version(self) -> str:
        self._check_conf()
        version = self._slurm.ask("sbatch", "--version").strip()
        # Only the controller can answer this.
        self._look()
        return f"{version}. Its controller answers."

    def _check_partitions(self) -> str:
        known = partitions(self._slurm)
        if not known:
            raise TargetError("Slurm shows no partition to this account.")
        wanted = filter(None, self._settings.partition.split(","))
        missing = {*wanted} - {each.name for each in known}
        if missing:
            raise UserError(
                f"There is no partition {min(missing)}. {told(known)}",
                "Pick another one in the target's settings.",
            )
        return told(known)


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
