"""Fixtures: an agent in this process that works for the ``api`` fixture's server, on the machine's Docker Engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moorage_agent.engine.docker import DockerEngine
from tests.integration.agent.rig import Rig
from tests.support.apiserver import RunningApi
from tests.support.docker import Owned


@pytest.fixture
async def rig(api: RunningApi, docker_engine: DockerEngine, owned: Owned, tmp_path: Path) -> AsyncIterator[Rig]:
    """One node with a running agent, and a namespace to put pods in."""
    async with Rig(api, owned, tmp_path) as made:
        yield made
