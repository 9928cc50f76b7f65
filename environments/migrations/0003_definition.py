"""Environments have a definition in Azure ML's words; so far all were user-managed."""

from django.db import migrations, models

import environments.models


def define(apps, schema_editor):
    environment = apps.get_model("environments", "Environment")
    for each in environment.objects.all():
        each.content = {
            "environmentVariables": each.environment_variables,
            "python": {
                "userManagedDependencies": True,
                "interpreterPath": each.interpreter_path or "python",
            },
        }
        each.save(update_fields=["content"])


class Migration(migrations.Migration):
    dependencies = [("environments", "0002_this_python")]
    operations = [
        migrations.AddField(
            model_name="environment",
            name="content",
            field=models.JSONField(default=environments.models.user_managed),
        ),
        migrations.RunPython(define, migrations.RunPython.noop),
        migrations.RemoveField(
            model_name="environment", name="environment_variables"
        ),
        migrations.RemoveField(model_name="environment", name="interpreter_path"),
    ]
