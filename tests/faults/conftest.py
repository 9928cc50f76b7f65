"""For tests of whole portals that are disturbed."""

from collections.abc import Iterator

import httpx
import pytest

from tests.services.portal import Portal


@pytest.fixture(scope="module")
def client(portal: Portal) -> Iterator[httpx.Client]:
    client = portal.sign_in()
    yield client
    client.close()
