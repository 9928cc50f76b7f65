"""The portal's own interpreter is an environment from the first start on."""

import platform

from django.db import migrations


def add_this_python(apps, schema_editor):
    environment = apps.get_model("environments", "Environment")
    environment.objects.create(
        name="this-python",
        description="The Python that the portal itself runs on",
        python_version=platform.python_version(),
    )


class Migration(migrations.Migration):
    dependencies = [("environments", "0001_initial")]
    operations = [migrations.RunPython(add_this_python, migrations.RunPython.noop)]
