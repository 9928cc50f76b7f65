"""Slurm's states and reasons in words."""

from collections.abc import Mapping

WAITS = {
    "Resources": "it waits for resources",
    "Priority": "others with a higher priority are before it",
    "Dependency": "it waits for another job that it depends on",
    "DependencyNeverSatisfied": "the job that it depends on can't end as it should any"
    " more, so it will never begin",
    "BeginTime": "its earliest time to begin has not come",
    "JobHeldUser": "its user holds it (scontrol release lets it go)",
    "JobHeldAdmin": "an administrator of Slurm holds it",
    "PartitionDown": "the partition is down",
    "PartitionInactive": "the partition is inactive",
    "PartitionNodeLimit": "it asks for more nodes than the partition allows",
    "PartitionTimeLimit": "it asks for more time than the partition allows",
    "PartitionConfig": "it asks for more than any node of the partition has, or than"
    " the partition allows",
    "BadConstraints": "no node can ever give what it asks for",
    "ReqNodeNotAvail": "nodes that it needs are down, drained or reserved",
    "NodeDown": "a node that it needs is down",
    "InvalidAccount": "Slurm does not know its account, or the user may not use it",
    "InvalidQOS": "Slurm does not know its QOS, or the account may not use it",
    "AccountNotAllowed": "its account may not use the partition",
    "QOSNotAllowed": "its QOS may not be used in the partition",
    "Licenses": "it waits for a license",
    "Reservation": "its reservation has not begun",
    "ReservationDeleted": "its reservation was deleted",
    "Cleaning": "what it left of an earlier start is being cleared away",
    "Prolog": "the prolog of its nodes runs",
    "JobArrayTaskLimit": "as many tasks of its array run as may",
    "NonZeroExitCode": "it ended with an exit code other than 0",
    "JobLaunchFailure": "it could not be started on its node",
    "launch failed requeued held": "it could not be started on its node, and is held",
    "MaxMemPerLimit": "it asks for more memory than is allowed",
    "BurstBufferResources": "it waits for a burst buffer",
}
# The limits of associations and QOSs come in dozens, which are named alike.
_LIMITS = {
    "QOS": "a limit of its QOS is reached",
    "Assoc": "a limit of its account or user is reached",
    "Max": "a limit of its account, user or QOS is reached",
}
# The states in which nothing more of a job will run, and why that is.
OVER = {
    "CANCELLED": "It was cancelled in Slurm, outside the portal",
    "COMPLETED": "",
    "FAILED": "",
    "TIMEOUT": "It reached Slurm's time limit",
    "DEADLINE": "Slurm's deadline for it has passed",
    "NODE_FAIL": "A node of it failed",
    "BOOT_FAIL": "A node of it did not boot",
    "OUT_OF_MEMORY": "It took more memory than it had asked Slurm for",
    "PREEMPTED": "Slurm ended it in favour of one with a higher priority",
    "REVOKED": "Slurm moved it to another cluster",
}
OTHERS = {
    "RUNNING": "Running",
    "COMPLETING": "Ending",
    "CONFIGURING": "Its nodes are made ready",
    "SUSPENDED": "Suspended by Slurm",
    "STOPPED": "Stopped by Slurm",
    "REQUEUED": "Put back into Slurm's queue",
    "REQUEUE_HOLD": "Put back into Slurm's queue, and held there",
    "SPECIAL_EXIT": "Put back into Slurm's queue, and held there",
    "RESV_DEL_HOLD": "Held, since its reservation was deleted",
    "STAGE_OUT": "Its data are staged out",
    "SIGNALING": "Running",
    "RESIZING": "Running",
}
_NODE_STATES: Mapping[str, str] = {"*": " (not answering)", "$": " (maintenance)"}


def why_it_waits(reason: str) -> str:
    """The reason why a job is pending; one that is not known is shown as it is."""
    if reason in ("", "None"):
        return "it waits for its turn"
    # Some name nodes: "ReqNodeNotAvail, UnavailableNodes:n1".
    name, _, more = reason.partition(",")
    known = WAITS.get(name) or WAITS.get(reason)
    if known is None:
        limits = (text for start, text in _LIMITS.items() if name.startswith(start))
        known = next(limits, "")
    details = ", ".join(filter(None, (name, more.strip())))
    return f"{known} ({details})" if known else f"Slurm's reason is {reason}"


def node_state(state: str) -> str:
    """The state of nodes, whose marks sinfo appends as a sign."""
    return state.rstrip("*$~#!%@^-+") + _NODE_STATES.get(state[-1:], "")
