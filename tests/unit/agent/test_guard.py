"""Whom a node that runs short ends, and what it removes before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from moorage_agent.engine.contract import ContainerSpec
from moorage_agent.engine.fake import FakeEngine
from moorage_agent.images.collection import Collection
from moorage_agent.metrics.meters import Meters
from moorage_agent.node import guard as guards
from moorage_agent.node.guard import Guard
from moorage_agent.node.means import Means
from moorage_agent.node.thresholds import Met
from moorage_agent.pods import labels
from moorage_agent.pods.labels import Owner
from moorage_agent.pods.node import Node
from moorage_agent.pods.observed import Attempt, attempt_of
from moorage_agent.pods.spec import Identity


@dataclass
class Scarce:
    """The node's means, as a test wants them."""

    short: list[Met] = field(default_factory=list)
    shares: list[float] = field(default_factory=lambda: [0.5])

    def passed(self) -> list[Met]:
        return self.short

    def used_share(self) -> float:
        return self.shares.pop(0) if len(self.shares) > 1 else self.shares[0]


@dataclass
class Pod:
    """A pod of one container."""

    uid: str
    attempt: Attempt | None
    pod: Mapping[str, Any]
    volumes_ready: bool = True
    digest: str = ""
    condemned: list[tuple[str, str, float]] = field(default_factory=list)

    def running(self) -> list[Attempt]:
        return [self.attempt] if self.attempt else []

    def attempts(self) -> Mapping[str, Sequence[Attempt]]:
        return {one.name: (one,) for one in self.running()}

    def condemn(self, reason: str, message: str, grace: float) -> None:
        self.condemned.append((reason, message, grace))


@dataclass
class Records:
    told: list[tuple[str, str]] = field(default_factory=list)

    def record(self, about: Mapping[str, Any], kind: str, reason: str, message: str) -> None:
        assert (about["kind"], kind) == ("Node", "Warning")
        self.told.append((reason, message))


@dataclass
class Parts:
    """What a guard uses of a node."""

    engine: FakeEngine
    volumes: Any = None
    files: Any = None
    meters: Meters = field(default_factory=Meters)
    recorder: Records = field(default_factory=Records)
    identity: Identity = field(default_factory=lambda: Identity(Owner("c", "node-1"), "uid"))


@dataclass
class World:
    engine: FakeEngine
    means: Scarce
    pods: list[Pod]
    parts: Parts
    images: Collection
    guard: Guard

    async def add(self, uid: str, memory: int) -> Pod:
        """A pod that uses so many bytes."""
        own = {labels.CONTAINER: "c", labels.ATTEMPT: "0"}
        spec = ContainerSpec(name=uid, image="image", labels=own, env=[f"FAKE_MEMORY={memory}"])
        identity = await self.engine.create(spec)
        await self.engine.start(identity)
        document = {"metadata": {"namespace": "n", "name": uid}, "spec": {"containers": [{"name": "c"}]}}
        made = Pod(uid, attempt_of(await self.engine.inspect(identity)), document)
        self.pods.append(made)
        return made


@pytest.fixture
async def world(tmp_path: Path) -> World:
    engine, means, pods = FakeEngine(["image", "old:1"]), Scarce(), list[Pod]()
    parts, images = Parts(engine), Collection(engine, tmp_path / "images.json", clock=lambda: 10.0**9)
    guard = Guard(cast("Node", parts), lambda: pods, cast("Means", means), images)
    return World(engine, means, pods, parts, images, guard)


MEMORY = Met("memory.available", 100 * 2**20, 50 * 2**20)
DISK = Met("nodefs.available", 10 * 2**30, 2**30)


async def test_one_pod_is_ended_and_the_next_waits_for_what_it_leaves(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = await world.add("small", 2**20), await world.add("large", 2**21)
    world.means.short = [MEMORY]
    await world.guard.look()
    ((reason, message, grace),) = large.condemned
    assert (reason, grace) == ("Evicted", 1.0)
    assert world.parts.meters.evictions.values == {("memory.available",): 1.0}
    words = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. "
    assert message == words + "Container c was using 2Mi, request is 0, has larger consumption of memory. "
    assert world.parts.recorder.told == [("EvictionThresholdMet", "Attempting to reclaim memory")]
    large.attempt = None
    await world.guard.look()
    assert not small.condemned  # the other's volumes are not removed yet
    large.volumes_ready = False
    await world.guard.look()
    assert small.condemned


async def test_a_pod_that_does_not_end_is_not_waited_for_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = await world.add("small", 2**20), await world.add("large", 2**21)
    world.means.short = [MEMORY]
    await world.guard.look()
    assert large.condemned
    monkeypatch.setattr(guards, "CLEANUP", 0.0)
    large.attempt = None
    await world.guard.look()
    assert small.condemned


async def test_images_go_before_pods_where_the_disk_is_short(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pod = await world.add("pod", 1)
    world.images.add("old:1")
    monkeypatch.setattr("moorage_agent.images.collection.YOUNGEST", 0.0)
    world.means.short = [DISK]
    await world.guard.look()
    assert "old:1" not in world.engine.images
    assert not pod.condemned


async def test_a_disk_that_fills_is_told_of_where_nothing_can_be_removed(world: World) -> None:
    world.means.shares = [0.9]
    await world.guard.look()
    await world.guard.look()
    (told,) = world.parts.recorder.told
    assert told[0] == "FreeDiskSpaceFailed"
    assert "90% of the disk are used" in told[1]


async def test_with_room_again_nothing_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.images.add("old:1")
    monkeypatch.setattr("moorage_agent.images.collection.YOUNGEST", 0.0)
    world.means.shares = [0.9, 0.7]
    await world.guard.look()
    assert "old:1" not in world.engine.images
    assert not world.parts.recorder.told
