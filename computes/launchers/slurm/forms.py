"""What is asked to attach a Slurm cluster, and for a run on one."""

from django import forms
from django.core.validators import RegexValidator

from computes.form_fields import LinesField, PlainField, checking
from computes.forms import OnMachineForm
from computes.launchers.slurm.settings import extra_options
from computes.launchers.slurm.times import seconds_of
from computes.run_options import RunOptionsForm

_MOST_NODES, _MOST_CPUS, _MOST_GPUS = 10_000, 4096, 64
_NAME = RegexValidator(
    r"\A[A-Za-z0-9_][A-Za-z0-9_.,\-]*\Z",
    "Use letters, digits, dots, dashes and underscores.",
)
_MEMORY = RegexValidator(
    r"\A[0-9]+[KMGT]?\Z", "Give a number with K, M, G or T, as in 16G."
)
_PATH = RegexValidator(r"\A/[^\0\n]*\Z", "Give an absolute path.")


def _text(label: str, hint: str, *validators: RegexValidator) -> PlainField:
    return PlainField(
        label=label,
        required=False,
        max_length=4096 if _PATH in validators else 255,
        help_text=hint,
        validators=validators,
    )


def _number(label: str, most: int, hint: str = "") -> forms.IntegerField:
    return forms.IntegerField(
        label=label, required=False, min_value=1, max_value=most, help_text=hint
    )


class SlurmForm(OnMachineForm):
    """A cluster, by way of a machine where sbatch works."""

    field_order = (
        *("name", "machine", "partition", "account", "qos", "cpus", "memory", "gpus"),
        *("extra", "mpi", "programs", "conf", "max_runs", "description"),
    )
    foremost = ("name", "machine", "partition", "account", "max_runs")

    partition = _text("Partition", "Empty: the cluster's default.", _NAME)
    account = _text("Account", "Empty: the user's default.", _NAME)
    qos = _text("QOS", "Empty: the user's default.", _NAME)
    cpus = _number(
        "CPUs per task", _MOST_CPUS, "For runs that name none. Empty: as Slurm has it."
    )
    memory = _text(
        "Memory per node",
        "Such as 16G, for runs that name none. Empty: as Slurm has it.",
        _MEMORY,
    )
    gpus = _number("GPUs per node", _MOST_GPUS, "For runs that ask for none.")
    extra = LinesField(
        label="Extra options of sbatch",
        required=False,
        max_length=4096,
        help_text="One in a line, such as --constraint=a100, for every run.",
        validators=[checking(lambda text: [*extra_options(text)])],
    )
    mpi = _text(
        "MPI of srun",
        "Such as pmix or pmi2, as srun --mpi=list shows them. Empty: Slurm's default.",
        _NAME,
    )
    programs = _text(
        "Folder of Slurm's programs", "If sbatch is not in the PATH there.", _PATH
    )
    conf = _text("slurm.conf", "Its path, if it is not where Slurm looks.", _PATH)

    class Meta(OnMachineForm.Meta):
        help_texts = {
            **OnMachineForm.Meta.help_texts,
            "machine": "Where sbatch works: this machine, or a login node that is"
            " attached over SSH. Its working folder is one that the nodes see, too.",
        }


class SlurmRunForm(RunOptionsForm):
    """What a run asks Slurm for; what is empty is as the target has it."""

    nodes = _number("Nodes", _MOST_NODES, "Empty: 1.")
    tasks_per_node = _number(
        "Tasks per node",
        _MOST_CPUS,
        "With more than one task in all, srun starts the script as every rank.",
    )
    cpus = _number("CPUs per task", _MOST_CPUS)
    memory = _text("Memory per node", "Such as 16G.", _MEMORY)
    time = _text(
        "Time limit",
        "As Slurm has it: minutes, h:mm:ss or d-hh. Empty: by the maximum duration.",
    )
    partition = _text("Partition", "Empty: the target's.", _NAME)

    def clean_time(self) -> str:
        span: str = self.cleaned_data["time"]
        if span and not seconds_of(span):
            raise forms.ValidationError("Give minutes, h:mm:ss or d-hh, as in 90.")
        return span
