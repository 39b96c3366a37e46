"""A server with real rights on a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.access import RunningAccess, serve_access
from tests.support.certificates import Certificates


@pytest.fixture
async def access(database_url: str, certificates: Certificates) -> AsyncIterator[RunningAccess]:
    """The server."""
    async with serve_access(database_url, certificates) as running:
        yield running
