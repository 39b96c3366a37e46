"""What a pod worker asks of the node's network, and the network that the engine makes. ``moorage_agent.network`` has another.

A sandbox is created with ``mode``; after its start ``attach`` gives it what the engine did not. Everything is idempotent: an
agent that was killed asks again for what it may have done already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from moorage_agent.engine.contract import Container

Pod = Mapping[str, Any]


class NetworkError(Exception):
    """A pod cannot be connected (yet); the text is for the ``FailedCreatePodSandBox`` event."""


class Resolver(NamedTuple):
    """The cluster's DNS: addresses of its servers, and its domain. Without servers pods use the node's resolver."""

    servers: Sequence[str] = ()
    domain: str = "cluster.local"


class PodNetwork(Protocol):
    """The network of one node's pods."""

    @property
    def mode(self) -> str:
        """The engine's network of sandboxes: ``bridge``, where the engine gives addresses and publishes host ports, or
        ``none``, where all that is ``attach``'s.
        """
        ...

    @property
    def ready(self) -> asyncio.Event:
        """Set once pods can be connected."""
        ...

    @property
    def lacks(self) -> str:
        """What pods of this node do without, and why; "" for nothing."""
        ...

    async def run(self) -> None:
        """Keep the network as the cluster is, until cancelled; or return where there is nothing to keep."""
        ...

    async def recover(self, sandboxes: Sequence[Container]) -> Sequence[str]:
        """The sandboxes that run at the agent's start, before any worker decides; ids of those that have no network: whoever
        started them did not live to connect them. Raises NetworkError.
        """
        ...

    async def attach(self, pod: Pod, sandbox: Container) -> None:
        """Connect a running sandbox (not called for hostNetwork pods). Raises NetworkError."""
        ...

    def follow(self, old: Pod | None, new: Pod | None) -> None:
        """A pod of the node was added, changed or deleted in the API."""
        ...

    async def detach(self, uid: str) -> None:
        """The pod's sandbox has ended, or the pod is gone: free what ``attach`` took."""
        ...

    def address(self, sandbox: Container) -> str:
        """The address of a sandbox, "" while it has none."""
        ...

    def resolver(self) -> Resolver:
        """The cluster's DNS as pods with dnsPolicy ClusterFirst use it."""
        ...

    def service_variables(self, namespace: str, links: bool) -> Mapping[str, str]:
        """Variables such as ``KUBERNETES_SERVICE_HOST``; with ``links`` those of the namespace's services too."""
        ...


class EngineNetwork:
    """The engine's own bridge: addresses from the engine, no services. ``lacks`` says why it is not the other one."""

    mode = "bridge"

    def __init__(self, lacks: str = "") -> None:
        self.lacks = lacks
        self.ready = asyncio.Event()
        self.ready.set()

    async def run(self) -> None:
        """The engine keeps it."""

    async def recover(self, sandboxes: Sequence[Container]) -> Sequence[str]:
        """The engine keeps what it made."""
        return ()

    async def attach(self, pod: Pod, sandbox: Container) -> None:
        """The engine has connected it."""

    def follow(self, old: Pod | None, new: Pod | None) -> None:
        """Nothing of it matters to the engine."""

    async def detach(self, uid: str) -> None:
        """The engine frees addresses by itself."""

    def address(self, sandbox: Container) -> str:
        """As the engine says."""
        return sandbox.ip

    def resolver(self) -> Resolver:
        """None: the node's own."""
        return Resolver()

    def service_variables(self, namespace: str, links: bool) -> Mapping[str, str]:
        """None."""
        return {}
