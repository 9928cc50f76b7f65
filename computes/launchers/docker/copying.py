"""Jobs on an engine that does not see the files of the host: they are copied."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from computes.launchers.base import Sight, Spec
from computes.launchers.docker.containers import with_copies
from computes.launchers.docker.launcher import DockerLauncher
from computes.launchers.docker.sights import GONE


class CopyingDockerLauncher(DockerLauncher):
    """The runner stays on the host; what it starts there is computes/runner/docked.py,
    which has the container made, with a copy of the working folder.
    """

    def spec(self, spec: Spec, options: Mapping[str, Any]) -> Spec:
        spec = super().spec(spec, options)
        place = self._host.place(spec["id"])
        return {
            **spec,
            "argv": [place.python, "-I", "-S", place.runner, "dock", place.folder],
            # Those of the script are for the container: on the host they could have
            # anything started.
            "env": {},
            "passes_secrets_on": True,
            "apart": False,
            "docker": {**spec["docker"], **with_copies(spec, place, self._settings)},
        }

    def start(self, job: str, spec: Spec) -> dict[str, Any]:
        return self._host.start(job)

    def look(self, jobs: Collection[str]) -> Mapping[str, Sight]:
        """Only hints: the runner tells all else, since it is not in the container.

        Without one, the runner may be about to have it made.
        """
        return {
            job: replace(sight, words="") if sight.is_over else sight
            for job, sight in super().look(jobs).items()
            if sight != GONE
        }

    def _check_folders(self) -> str:
        return "They are copied to the engine and back."
