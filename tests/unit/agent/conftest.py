"""Fixtures: a node of fakes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.agent.rig import Rig


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """A node without pods."""
    made = Rig(tmp_path)
    yield made
    await made.close()
