"""The way from a node to the API is cut for five minutes, with the controllers' usual patience.

``make test`` has a shorter cut (``tests/integration/agent/test_network_cut.py``); this one runs where ``CHAOS_SECONDS`` asks for
more than a minute.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from moorage.controllers.context import Options
from moorage_agent.engine.docker import DockerEngine
from tests.chaos.network_cut import cut_and_check
from tests.support.apiserver import RunningApi
from tests.support.docker import Owned
from tests.support.network_cut import obstacle

SECONDS = min(300.0, float(os.environ.get("CHAOS_SECONDS", "0")))
reason = obstacle() or ("" if SECONDS > 60 else "CHAOS_SECONDS is not more than 60")


@pytest.mark.chaos
@pytest.mark.docker
@pytest.mark.skipif(bool(reason), reason=f"no long cut: {reason}")
@pytest.mark.timeout(SECONDS + 300)
async def test_a_node_that_is_cut_off_for_five_minutes_goes_on_and_catches_up(
    api: RunningApi, docker_engine: DockerEngine, owned: Owned, tmp_path: Path
) -> None:
    took = await cut_and_check(api, owned, tmp_path, SECONDS, Options())
    print(f"cut off for {SECONDS:.0f} s; all was right again {took:.0f} s later")
