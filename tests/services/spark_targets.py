"""Spark clusters attached to a portal, as the form attaches them."""

from django.contrib.auth.models import User

from computes.models import ComputeTarget
from tests import factories
from tests.services.spark import CONF, SparkCluster

# Several JVMs have to start for a run.
PATIENCE = 90


def attach(
    cluster: SparkCluster, name: str = "spark", **changes: object
) -> ComputeTarget:
    """Attach a target through the form, as an administrator would."""
    boss = User.objects.get_or_create(username="boss", is_staff=True)[0]
    fields = {
        "name": name,
        "machine": factories.target().pk,
        "master": cluster.master,
        "web_ui": cluster.web_ui,
        "conf": "\n".join(f"{key}={value}" for key, value in CONF.items()),
        "max_runs": 9,
        **changes,
    }
    answer = factories.signed_in(boss).post("/compute/new/spark/", fields)
    assert answer.status_code == 302, answer.content.decode()
    return ComputeTarget.objects.get(name=name)
