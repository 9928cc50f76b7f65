"""The kind of target that a Slurm cluster is."""

from computes.hosts import Host
from computes.kinds import Kind
from computes.launchers.slurm.forms import SlurmForm, SlurmRunForm
from computes.launchers.slurm.launcher import SlurmLauncher
from computes.launchers.slurm.settings import SlurmSettings
from computes.models import ComputeTarget


def _launcher(target: ComputeTarget, host: Host) -> SlurmLauncher:
    return SlurmLauncher(host, SlurmSettings.from_json(target.settings))


KIND = Kind(
    name="slurm",
    label="Slurm",
    summary="A Slurm cluster, by way of this machine or a login node. The nodes have to"
    " see its working folder.",
    launcher=_launcher,
    form=SlurmForm,
    run_form=SlurmRunForm,
    picks_gpus=False,
    icon="server-cog",
)
