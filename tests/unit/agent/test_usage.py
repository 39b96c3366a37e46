"""What pods use, from two readings of a fake engine."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from moorage_agent.engine.contract import Container, ContainerSpec, Usage
from moorage_agent.engine.fake import FakeEngine
from moorage_agent.node import usage
from moorage_agent.node.usage import Machine, Meter
from moorage_agent.pods import labels
from moorage_agent.pods.observed import Attempt, attempt_of


@dataclass
class Pod:
    """A pod of one running container."""

    container: Container
    pod: Mapping[str, Any] = field(
        default_factory=lambda: {"metadata": {"namespace": "ns", "name": "web", "uid": "u"}, "spec": {}}
    )
    api_uid: str = "u"

    def running(self) -> Sequence[Attempt]:
        attempt = attempt_of(self.container)
        assert attempt is not None
        return [attempt]


@pytest.fixture
async def engine() -> FakeEngine:
    return FakeEngine(["image"])


async def _pod(engine: FakeEngine) -> Pod:
    spec = ContainerSpec(
        name="c",
        image="image",
        labels={labels.CONTAINER: "c", labels.ATTEMPT: "0"},
        env=["FAKE_CPU=0.5", "FAKE_MEMORY=1048576"],
    )
    identity = await engine.create(spec)
    await engine.start(identity)
    return Pod(await engine.inspect(identity))


async def test_a_rate_is_made_of_two_readings(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "SHORTEST", 0.05)
    pod = await _pod(engine)
    meter = Meter(engine, lambda: [pod], lambda: Machine(2**30, 7.0))
    report = await meter.report()
    assert report["node"] == {"cpu": 0.0, "memory": 2**30}
    (entry,) = report["pods"]
    assert (entry["namespace"], entry["name"], entry["uid"]) == ("ns", "web", "u")
    (container,) = entry["containers"]
    assert container["name"] == "c"
    assert container["memory"] == 2**20
    assert container["cpu"] == pytest.approx(0.5, rel=0.3)


async def test_nothing_is_read_while_nobody_asks(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "SHORTEST", 0.02)
    pod = await _pod(engine)
    meter = Meter(engine, lambda: [pod], lambda: Machine(0, 0.0))
    asked = len([call for call in engine.calls if call[0] == "usage"])
    assert asked == 0
    await asyncio.gather(meter.report(), meter.report())
    assert len([call for call in engine.calls if call[0] == "usage"]) == 3  # two for the first, one for the second


async def test_a_container_that_is_gone_is_left_out(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "SHORTEST", 0.01)
    pod = await _pod(engine)
    await engine.remove(pod.container.id)
    assert (await Meter(engine, lambda: [pod], lambda: Machine(0, 0.0)).report())["pods"] == []


async def test_the_node_is_told_of_also_while_the_engine_is_away(engine: FakeEngine) -> None:
    pod = await _pod(engine)
    engine.available = False
    report = await Meter(engine, lambda: [pod], lambda: Machine(2**20, 0.0)).report()
    assert (report["node"]["memory"], report["pods"]) == (2**20, [])


async def test_the_node_is_told_of_also_while_the_engine_hangs(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = await _pod(engine)

    async def hang(_container: str) -> Usage:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(engine, "usage", hang)
    report = await Meter(engine, lambda: [pod], lambda: Machine(2**20, 0.0), deadline=0.05).report()
    assert (report["node"]["memory"], report["pods"]) == (2**20, [])
