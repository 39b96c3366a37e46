"""The way to the API is cut for a moment (``tests/chaos/test_network_cut.py`` does it for five minutes)."""

from __future__ import annotations

from pathlib import Path

import pytest

from moorage.controllers.context import Options
from moorage_agent.engine.docker import DockerEngine
from tests.chaos.network_cut import cut_and_check
from tests.support.apiserver import RunningApi
from tests.support.docker import Owned
from tests.support.network_cut import obstacle

reason = obstacle()


@pytest.mark.docker
@pytest.mark.skipif(bool(reason), reason=f"the network cannot be cut here: {reason}")
@pytest.mark.timeout(240)
async def test_a_node_that_is_cut_off_goes_on_and_catches_up(
    api: RunningApi, docker_engine: DockerEngine, owned: Owned, tmp_path: Path
) -> None:
    short = Options(node_grace=3.0, node_check=0.2, eviction_interval=0.1)
    await cut_and_check(api, owned, tmp_path, 15.0, short)
