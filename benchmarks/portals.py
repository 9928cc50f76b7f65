"""The portals that are measured."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.services.portal import Portal, prepare_data


@contextmanager
def running_portal(**environment: object) -> Iterator[Portal]:
    """A new portal, whose processes have `environment` besides."""
    with tempfile.TemporaryDirectory(prefix="aml-bench-") as prepared:
        portal = Portal(prepare_data(Path(prepared)), **environment)
        portal.start()
        try:
            yield portal
        finally:
            portal.remove()
