"""This machine is a compute target from the first start on."""

import os

from django.db import migrations


def attach_this_machine(apps, schema_editor):
    target = apps.get_model("computes", "ComputeTarget")
    target.objects.create(
        name="local",
        kind="local",
        description="The machine that the portal runs on",
        max_runs=max(os.cpu_count() or 1, 2),
    )


class Migration(migrations.Migration):
    dependencies = [("computes", "0001_initial")]
    operations = [
        migrations.RunPython(attach_this_machine, migrations.RunPython.noop)
    ]
