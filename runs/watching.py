"""Asks the launchers that can see their jobs from outside what they see."""

import logging
import threading

from django.db import close_old_connections, connection
from django.utils import timezone

from aml_portal.errors import PortalError, TargetError
from computes.models import ComputeTarget
from computes.services import note_seen, note_trouble
from runs import sights
from runs.models import Run
from runs.status import RunStatus

_log = logging.getLogger(__name__)

# Seconds from one look to the next, while a run waits to begin, and else.
_SOON, _LATER = 2.0, 10.0


class Watcher(threading.Thread):
    """Looks at the jobs of one target, until it is stopped."""

    def __init__(self, target_pk: int) -> None:
        super().__init__(daemon=True, name=f"watch-{target_pk}")
        self._target_pk = target_pk
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.is_set():
            pause = _LATER
            try:
                self._look()
                pause = self._pause()
            except PortalError as error:
                _log.info("A look at target %s failed: %s", self._target_pk, error)
            except Exception:
                _log.exception("A look at target %s failed", self._target_pk)
            close_old_connections()
            self._stopped.wait(pause)
        connection.close()

    def stop(self) -> None:
        self._stopped.set()

    def _look(self) -> None:
        # While it is left alone, who follows the runs tries to reach the machine: all
        # that is done there takes turns at one connection.
        targets = ComputeTarget.objects.with_way().exclude(
            leave_alone_until__gt=timezone.now()
        )
        target = targets.filter(pk=self._target_pk).first()
        if target is None:
            return
        try:
            if sights.look(target):
                note_seen([target.pk])
        except TargetError as error:
            note_trouble(target, str(error))
            raise

    def _pause(self) -> float:
        starting = Run.objects.filter(
            target=self._target_pk, status=RunStatus.STARTING
        ).exists()
        return _SOON if starting else _LATER
