"""The workers of RQ as the portal wants them."""

from typing import Any

from django.db import close_old_connections
from rq.worker import SimpleWorker


class Worker(SimpleWorker):
    """Does its jobs itself, where RQ's usual worker forks for each.

    So connections to other machines outlast a job, and one that is killed leaves nobody
    at work in its name. What a job of ours changes is safe at any line.
    """

    def perform_job(self, *args: Any, **options: Any) -> bool:
        # The database may have been away since the last job.
        close_old_connections()
        return super().perform_job(*args, **options)
