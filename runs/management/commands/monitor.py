"""`manage.py monitor`: follow the jobs until told to stop."""

import logging
import signal
from typing import Any

from django.core.management.base import BaseCommand

from runs.monitor import Monitor


class Command(BaseCommand):
    help = "Follow every active job, mirror its files and keep the runs' states."

    def handle(self, *args: Any, **options: Any) -> None:
        logging.basicConfig(level=logging.INFO)
        monitor = Monitor()
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, lambda *_: monitor.stop())
        monitor.run()
