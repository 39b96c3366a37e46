"""When the kernel's network cannot be used, and that the reason is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from moorage_agent.network import making
from moorage_agent.pods.networking import EngineNetwork


def test_an_engine_on_another_machine_has_its_own_bridge() -> None:
    assert "another" in making.obstacle("tcp://192.0.2.1:2375") or "root" in making.obstacle("tcp://192.0.2.1:2375")


def test_without_root_there_is_no_network_of_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert making.obstacle("unix:///var/run/docker.sock") == "the agent does not run as root"


def test_an_engine_that_does_not_listen_yet_is_no_reason(tmp_path: Path) -> None:
    assert not making._elsewhere(str(tmp_path / "nobody.sock"))


async def test_the_lesser_network_says_what_pods_lack() -> None:
    network = EngineNetwork("no nftables: policies do not work")
    assert network.ready.is_set()
    assert network.lacks.startswith("no nftables")
    assert await network.recover([]) == ()
