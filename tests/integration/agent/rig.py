"""An agent under test: started, stopped, killed; pods made, watched, asked."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from moorage.client.api import ApiClient
from moorage.client.errors import NotFound
from moorage.client.resource import CONFIG_MAPS, EVENTS, NAMESPACES, NODES, PODS, SECRETS
from moorage_agent.agent import Agent
from moorage_agent.options import AgentOptions
from moorage_agent.pods import labels
from moorage_agent.volumes import mounts
from tests.support.apiserver import RunningApi
from tests.support.docker import IMAGE, Owned, containers
from tests.support.wait import until

Document = dict[str, Any]
NAMESPACE = "agents"


class Rig:
    """An agent for node ``node`` of the cluster behind ``api``."""

    def __init__(self, api: RunningApi, owned: Owned, folder: Path, *, node: str = "node-1", cluster: str = "") -> None:
        self.api = api
        self.node = node
        self.cluster = cluster or owned.cluster
        self.data = folder / f"data-{node}"
        self.client = ApiClient(api.url, token="admin-token", ca_file=api.ca_file)
        self.agent: Agent | None = None
        self._task: asyncio.Task[None] | None = None
        self.ready = asyncio.Event()
        self.usual: dict[str, Any] = {}
        """Options of every start."""

    async def __aenter__(self) -> Rig:
        document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        with contextlib.suppress(Exception):
            await self.client.create(NAMESPACES, document)
        await self.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.stop()
        await self.client.close()
        for point in mounts.mounted_below(self.data):
            mounts.unmount(point)

    def options(self, **changes: Any) -> AgentOptions:
        """How the agent is started."""
        given: dict[str, Any] = {
            "server": self.api.url,
            "token": "admin-token",
            "ca_file": self.api.ca_file,
            "data_dir": self.data,
            "node": self.node,
            "cluster_uid": self.cluster,
            "address": "127.0.0.1",
            "orphan_grace": 1.0,
            "engine_network": True,  # no controller gives nodes their ranges here
            "on_ready": self.ready.set,
        }
        return AgentOptions(**{**given, **self.usual, **changes})

    async def start(self, **changes: Any) -> None:
        """Start the agent and wait until it is ready."""
        task = self.begin(**changes)
        await until(lambda: self.ready.is_set() or task.done(), timeout=30, every=0.01)
        if task.done():
            await task

    def begin(self, **changes: Any) -> asyncio.Task[None]:
        """Start the agent, which may not become ready."""
        self.ready.clear()
        self.agent = Agent(self.options(**changes))
        self._task = asyncio.create_task(self.agent.run(), name="agent under test")
        return self._task

    async def stop(self) -> None:
        """Cancel the agent, as a signal does; pods go on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def run(self, name: str, spec: Document | None = None, **container: Any) -> Document:
        """Create a pod bound to this node: of one container ``c`` with these fields, or of ``spec``."""
        return await self.client.create(PODS, self.pod(name, spec, **container))

    def pod(self, name: str, spec: Document | None = None, **container: Any) -> Document:
        """A pod's document."""
        if spec is None:
            spec = {"containers": [self.container(**container)]}
        whole = {"nodeName": self.node, "terminationGracePeriodSeconds": 1, **spec}
        metadata = {"name": name, "namespace": NAMESPACE, "labels": {"app": name}}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": whole}

    @staticmethod
    def container(name: str = "c", script: str = "", **fields: Any) -> Document:
        """A container that runs ``script`` in a shell, or sleeps and ends at once when asked to."""
        script = script or "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"
        return {
            "name": name,
            "image": IMAGE,
            "imagePullPolicy": "IfNotPresent",
            "command": ["/bin/sh", "-c", script],
            **fields,
        }

    async def get(self, name: str) -> Document:
        """A pod as the API shows it."""
        return await self.client.get(PODS, name, NAMESPACE)

    async def until(self, name: str, holds: Callable[[Document], object], timeout: float = 30) -> Document:
        """Wait until a pod's status is as wanted; the failure shows the last one."""
        last: Document = {}

        async def check() -> Document:
            nonlocal last
            last = await self.get(name)
            try:
                held = holds(last.get("status") or {})
            except (KeyError, IndexError, TypeError):
                held = False
            assert held, f"pod {name}: {last.get('status')}"
            return last

        return await until(check, timeout=timeout, every=0.03)

    async def running(self, name: str, timeout: float = 30) -> Document:
        """Wait until a pod is Running and Ready."""
        return await self.until(name, lambda status: status["phase"] == "Running" and is_ready(status), timeout)

    async def restarted(self, name: str, times: int = 1, timeout: float = 40) -> Document:
        """Wait until a pod's first container has been restarted so often and is ready again."""

        def again(status: Document) -> bool:
            entry = status["containerStatuses"][0]
            return bool(entry["restartCount"] == times and entry["ready"])

        return await self.until(name, again, timeout)

    async def delete(self, name: str, grace: int | None = None) -> None:
        """Delete a pod and wait until it is gone from API and engine."""
        pod = await self.get(name)
        await self.client.delete(PODS, name, NAMESPACE, grace_seconds=grace)
        await self.gone(pod)

    async def gone(self, pod: Document) -> None:
        """Wait until a pod's object and its containers are no more."""

        async def check() -> bool:
            try:
                found = await self.get(pod["metadata"]["name"])
            except NotFound:
                return True
            return bool(found["metadata"]["uid"] != pod["metadata"]["uid"])

        await until(check, timeout=30)
        await until(lambda: not self.containers(pod), timeout=30, every=0.1)

    def containers(self, pod: Document, name: str = "", *, running: bool = False) -> list[str]:
        """Ids of a pod's containers on the engine, by the ``docker`` program."""
        wanted = [f"{labels.POD_UID}={pod['metadata']['uid']}"]
        if name:
            wanted.append(f"{labels.CONTAINER}={name}")
        return containers(*wanted, running=running)

    async def events(self, name: str) -> list[tuple[str, str]]:
        """(reason, message) of a pod's events."""
        found = await self.client.list(EVENTS, NAMESPACE)
        return [(one["reason"], one["message"]) for one in found.items if one["involvedObject"]["name"] == name]

    async def event(self, name: str, reason: str, text: str = "") -> str:
        """Wait for an event of a pod; its message."""

        async def check() -> str:
            found = await self.events(name)
            for kind, message in found:
                if kind == reason and text in message:
                    return message
            raise AssertionError(f"no event {reason} {text!r} in {found}")

        return await until(check, timeout=20)

    async def config_map(self, name: str, **data: str) -> None:
        """Create a ConfigMap."""
        metadata = {"name": name, "namespace": NAMESPACE}
        await self.client.create(
            CONFIG_MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        )

    async def secret(self, name: str, **data: str) -> None:
        """Create a Secret."""
        metadata = {"name": name, "namespace": NAMESPACE}
        document = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}
        await self.client.create(SECRETS, document)

    async def node_object(self) -> Document:
        """The Node."""
        return await self.client.get(NODES, self.node)

    async def logs(self, pod: Document, container: str = "c", **options: Any) -> str:
        """A container's log, read as the tunnel's stream would be."""
        assert self.agent is not None
        assert self.agent.logs is not None
        request = {
            "kind": "logs",
            "namespace": NAMESPACE,
            "pod": pod["metadata"]["name"],
            "uid": pod["metadata"]["uid"],
            "container": container,
            **options,
        }
        return b"".join([chunk async for chunk in self.agent.logs.read(request)]).decode()

    async def logged(self, pod: Document, lines: int, container: str = "c") -> str:
        """Wait until a container has written so many lines; its log."""

        async def enough() -> str:
            text = await self.logs(pod, container)
            assert text.count("\n") >= lines, f"the log is {text!r}"
            return text

        return await until(enough, timeout=20)


def is_ready(status: Document) -> bool:
    """Whether condition Ready is True."""
    return any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions") or ())
