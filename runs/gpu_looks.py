"""Looks at the GPUs of a machine when runs wait for some, so that they may get them."""

from aml_portal.errors import PortalError
from computes.models import ComputeTarget
from computes.services import keep_gpus, note_trouble
from computes.targets import host_of
from runs.dispatch import dispatch
from runs.gpus import holding
from runs.models import Run
from runs.status import RunStatus


def look_at_gpus(machine_pk: int) -> None:
    """Ask a machine who uses its GPUs, and give away those that are free."""
    machine = ComputeTarget.objects.with_way().filter(pk=machine_pk).first()
    if machine is None:
        return
    # Before the look: what it sees may be the work of one that ends meanwhile.
    during = list(holding(machine).values_list("pk", flat=True))
    try:
        look = host_of(machine).gpus()
    except PortalError as error:
        note_trouble(machine, str(error))
        return
    keep_gpus(machine, {**look, "during": during})
    waiting = Run.objects.on_machine(machine).filter(status=RunStatus.QUEUED)
    for target in ComputeTarget.objects.filter(pk__in=waiting.values("target")):
        dispatch(target)
