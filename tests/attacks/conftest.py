"""One arena for all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attacks.arena import Arena, set_up
from tests.support.installation import Installation


@pytest.fixture(scope="module")
def arena(installation: Installation, request: pytest.FixtureRequest) -> Iterator[Arena]:
    """Two tenants, named after the module, on the session's installation."""
    family = request.module.__name__.rpartition("_")[2]
    with set_up(installation, family) as made:
        yield made
