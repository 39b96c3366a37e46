"""One server for all tests of a module."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.integration.tenants.tenancy.rig import Rig, running
from tests.support.certificates import Certificates


@pytest.fixture
async def rig(database_url: str, certificates: Certificates) -> AsyncIterator[Rig]:
    """A server on a database of its own."""
    async with running(database_url, certificates) as started:
        yield started
