"""Keeps the Node, its status and its Lease in the API: made at the start, again where somebody deleted them, for as long as
the agent runs. An API that does not answer is tried again; nothing here holds up pods.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

from moorage.client.api import ApiClient
from moorage.client.errors import AlreadyExists, ClientError, NotFound
from moorage.client.objects import micro_timestamp
from moorage.client.resource import LEASES, NODES
from moorage_agent.node import document
from moorage_agent.node.machine import Pressure
from moorage_agent.pods.node import Recorder
from moorage_agent.waiting import happened

log = logging.getLogger(__name__)

Document = dict[str, Any]
LEASE_NAMESPACE = "kube-node-lease"
RETRY = 2.0
DEADLINE = 10.0
"""Seconds for one request: what is known of the node is worth nothing later (the kubelet's ``nodeStatusUpdateFrequency``)."""


class Registration:
    """One node's presence. ``check_engine``, ``check_machine`` and ``check_network`` say how these are."""

    def __init__(
        self,
        client: ApiClient,
        about: document.Description,
        check_engine: Callable[[], Awaitable[document.Engine]],
        check_machine: Callable[[], Pressure],
        check_network: Callable[[], document.Network],
        recorder: Recorder,
        *,
        lease_interval: float = 10.0,
        lease_duration: int = 40,
        status_interval: float = 300.0,
        health_interval: float = 10.0,
        clock: Callable[[], float] = time.time,
        back: Callable[[], None] = lambda: None,
    ) -> None:
        """``back`` is called when the API answers again after it has not for a while."""
        self._back = back
        self._recorder = recorder
        self._client = client
        self._about = about
        self._check_engine = check_engine
        self._check_machine = check_machine
        self._check_network = check_network
        self._lease_interval = lease_interval
        self._lease_duration = lease_duration
        self._status_interval = status_interval
        self._health_interval = health_interval
        self._clock = clock
        self._written: Document | None = None
        self._written_at = 0.0
        self._uid = ""
        self._check_now = asyncio.Event()
        self.engine = document.Engine(False, "not asked yet")
        self.registered = asyncio.Event()
        """Set once the API has the Node with a status of ours."""

    @property
    def uid(self) -> str:
        """The Node's uid, "" while the API has none of ours."""
        return self._uid

    def check_soon(self) -> None:
        """Something suggests that the engine's state has changed."""
        self._check_now.set()

    async def run_status(self) -> None:
        """Register, then write the status when it changes and now and then. Until cancelled."""
        self._tell("Normal", "Starting", "Starting kubelet.")
        while True:
            self.engine = await self._check_engine()
            try:
                async with asyncio.timeout(DEADLINE):
                    await self._write()
                self.registered.set()
                pause = self._health_interval
            except (ClientError, TimeoutError) as error:
                log.warning("node %s: %s; again in %.0f s", self._about.name, _words(error), RETRY)
                pause = RETRY
            await happened(self._check_now, pause)
            self._check_now.clear()

    async def run_lease(self) -> None:
        """Renew the Lease until cancelled. It says that the agent lives and reaches the API; not that the engine is well."""
        await self.registered.wait()
        renewed = time.monotonic()
        while True:
            begun = time.monotonic()
            try:
                async with asyncio.timeout(DEADLINE):
                    await self._renew()
                silent, renewed = time.monotonic() - renewed, time.monotonic()
                if silent > 2 * self._lease_interval + RETRY:
                    self._returned(silent)
                pause = self._lease_interval
            except (ClientError, TimeoutError) as error:
                log.warning("lease of node %s: %s", self._about.name, _words(error))
                pause = min(RETRY, self._lease_interval)
            await asyncio.sleep(max(0.0, pause - (time.monotonic() - begun)))

    def _returned(self, silent: float) -> None:
        """Others may have taken the node for dead meanwhile, and have written so: the whole status is written anew."""
        log.warning("node %s could not renew its lease for %.0f s; it is back", self._about.name, silent)
        self._written = None
        self.check_soon()
        self._back()

    async def _write(self) -> None:
        if self._written is None:
            await self._register()
        now = self._clock()
        old = self._written or {}
        new = document.status(self._about, old, self.engine, self._check_machine(), now, self._check_network())
        if old and not document.differs(old, new) and now - self._written_at < self._status_interval:
            return
        try:
            await self._client.patch(NODES, self._about.name, {"status": new}, kind="strategic", subresource="status")
        except NotFound:
            self._written = None  # somebody deleted the Node while its agent lives: it comes back
            raise
        self._written, self._written_at = new, now
        for kind, reason, message in document.news(self._about.name, old, new):
            self._tell(kind, reason, message)

    def _tell(self, kind: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        name = self._about.name
        self._recorder.record(
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "uid": name}}, kind, reason, message
        )

    async def _register(self) -> None:
        """Make the Node, or bring its labels up to date; taints and what others wrote stay."""
        about = self._about
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": about.name, "labels": document.labels(about)}}
        try:
            found = await self._client.create(NODES, node)
            log.info("node %s is registered", about.name)
        except AlreadyExists:
            change = {"metadata": {"labels": document.labels(about)}}
            found = await self._client.patch(NODES, about.name, change)
        self._uid = str(found["metadata"]["uid"])
        status: Mapping[str, Any] = found.get("status") or {}
        self._written = {name: status[name] for name in ("conditions", "nodeInfo") if status.get(name)}
        self._written_at = 0.0

    async def _renew(self) -> None:
        name = self._about.name
        spec = {
            "holderIdentity": name,
            "leaseDurationSeconds": self._lease_duration,
            "renewTime": micro_timestamp(self._clock()),
        }
        try:
            await self._client.patch(LEASES, name, {"spec": spec}, LEASE_NAMESPACE)
        except NotFound:
            owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": self._uid}
            metadata = {"name": name, "namespace": LEASE_NAMESPACE, "ownerReferences": [owner]}
            lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
            await self._client.create(LEASES, lease)


def _words(error: Exception) -> str:
    return str(error) or f"no answer within {DEADLINE:g} s"
