"""Pod workers on the fake engine, with an API that only takes notes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from moorage.client.api import ApiClient
from moorage.client.errors import NotFound
from moorage.client.operations import Outcome, Result
from moorage_agent.engine.fake import FakeEngine
from moorage_agent.images.puller import Images
from moorage_agent.objects import Objects
from moorage_agent.pods.fields import Facts
from moorage_agent.pods.labels import Owner
from moorage_agent.pods.node import Node
from moorage_agent.pods.spec import Identity
from moorage_agent.pods.status_writer import StatusWriter
from moorage_agent.pods.worker import PodWorker
from moorage_agent.probes.checks import Checks
from moorage_agent.tokens import Tokens
from moorage_agent.volumes.store import VolumeStore

Document = dict[str, Any]
OWNER = Owner("cluster", "node-1")


@dataclass
class NotingClient:
    """Takes status patches and deletes; serves objects put into ``objects``."""

    objects: dict[tuple[str, str], Document] = field(default_factory=dict)
    statuses: dict[str, Document] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    patches: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    """Patches of anything but a status."""
    failing: Exception | None = None
    requests: int = 0

    async def get(self, resource: Any, name: str, namespace: str = "", **_: Any) -> Document:
        await self._answer()
        found = self.objects.get((resource.plural, name))
        if found is None:
            raise NotFound(404, {"message": f'{resource.plural} "{name}" not found'})
        return found

    async def patch(self, _resource: Any, name: str, change: Any, _namespace: str = "", **_: Any) -> Document:
        await self._answer()
        self._apply(name, change)
        return {}

    async def batch(self, members: Any, **_: Any) -> Outcome:
        await self._answer()
        for member in members:
            self._apply(member["name"], member["patch"])
        return Outcome("1", [Result("configured", "v1", "Pod", "", one["name"], "", "1") for one in members])

    async def delete(self, _resource: Any, name: str, _namespace: str = "", **_: Any) -> Document:
        await self._answer()
        self.deleted.append(name)
        return {}

    async def _answer(self) -> None:
        await asyncio.sleep(0)
        self.requests += 1
        if self.failing is not None:
            raise self.failing

    def _apply(self, name: str, change: Mapping[str, Any]) -> None:
        if "status" not in change:
            self.patches.append((name, change))
            return
        status = self.statuses.setdefault(name, {})
        status.update({key: value for key, value in change["status"].items() if value is not None})


@dataclass
class NotingRecorder:
    """Keeps events as (reason, message)."""

    events: list[tuple[str, str]] = field(default_factory=list)

    def record(self, about: Mapping[str, Any], kind: str, reason: str, message: str) -> None:
        self.events.append((reason, message))


class Rig:
    """The parts of a node around fakes."""

    def __init__(self, folder: Path, images: tuple[str, ...] = ("app:1",)) -> None:
        self.engine = FakeEngine([*images, "sandbox"])
        self.client = NotingClient()
        self.recorder = NotingRecorder()
        client = cast("ApiClient", self.client)
        self.node = Node(
            identity=Identity(OWNER, "node-uid"),
            engine=self.engine,
            images=Images(self.engine),
            objects=Objects(client),
            volumes=VolumeStore(folder),
            tokens=Tokens(client),
            checks=Checks(self.engine),
            client=client,
            recorder=self.recorder,
            status=StatusWriter(client),
            facts=Facts("node-1", "192.0.2.7", cpu=2.0, memory=2**30),
            sandbox_image="sandbox",
        )
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, pod: Document) -> PodWorker:
        """A worker that runs until ``close``."""
        worker = PodWorker(self.node, pod)
        self._tasks.append(asyncio.create_task(worker.run(), name="worker under test"))
        return worker

    async def adopt(self, pod: Document) -> PodWorker:
        """A worker as after a restart of the agent: it is shown what is on the engine first."""
        worker = PodWorker(self.node, pod)
        found = {}
        for one in await self.engine.list({"moorage.io/pod-uid": pod["metadata"]["uid"]}):
            found[one.id] = await self.engine.inspect(one.id)
        worker.adopt(found)
        self._tasks.append(asyncio.create_task(worker.run(), name="worker under test"))
        return worker

    def write_status(self) -> None:
        """Have status written."""
        self._tasks.append(asyncio.create_task(self.node.status.run(), name="status under test"))

    async def kill(self) -> None:
        """End all workers, as the end of the agent does."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def close(self) -> None:
        """End everything."""
        await self.kill()
        await self.engine.close()
        await self.node.checks.close()
        self.node.files.shutdown()
