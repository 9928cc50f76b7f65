"""The kinds of compute targets: a host, and the way in which jobs are started on it.

Each kind is a module of its own that has a `KIND`; `settings.COMPUTE_KINDS` lists them.
Nothing else in the portal knows which kinds there are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from computes.hosts import Host
from computes.launchers import Launcher
from computes.launchers.recipes import ImageRecipe
from computes.run_options import RunOptionsForm

HasFile = Callable[[str], bool]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of compute target.

    `name` is what the database and addresses have, `label` and `summary` are for
    people. `launcher` is given a target, and its host. `form` is an AttachForm; without
    it nobody can attach one. `run_form` asks what a run on such a target can choose
    beyond what every run has. `check_run` is given a script, what was chosen, and
    whether the snapshot has a file: it raises UserError for what can't be run.
    """

    name: str
    label: str
    summary: str
    # Of a ComputeTarget, which this module can't name: its model asks here.
    launcher: Callable[[Any, Host], Launcher]
    form: Any = None
    run_form: type[RunOptionsForm] | None = None
    check_run: Callable[[str, Mapping[str, Any], HasFile], None] | None = None
    # What Azure ML calls it in a script run configuration.
    framework: str = "Python"
    icon: str = "server-2"
    # Whether it is a machine, on which targets of other kinds can be.
    is_machine: bool = False
    # Whether `look` of its launcher can tell something that the runner does not.
    sees_jobs: bool = True
    # Whether the portal picks GPUs of the machine for each run, else the launcher has
    # them picked, by their number alone.
    picks_gpus: bool = True
    # Where an environment is an image there, which its launcher builds: what names it,
    # by the target, the recipe and what a run has chosen; empty for one as it is.
    image_key: Callable[[Any, ImageRecipe, Mapping[str, Any]], str] | None = None

    @property
    def runs_images(self) -> bool:
        return self.image_key is not None


def kinds() -> Mapping[str, Kind]:
    """All kinds by their names, in the order in which people are to see them."""
    return _load(tuple(settings.COMPUTE_KINDS))


@cache
def _load(paths: tuple[str, ...]) -> Mapping[str, Kind]:
    found = [import_string(path) for path in paths]
    return {kind.name: kind for kind in found}
