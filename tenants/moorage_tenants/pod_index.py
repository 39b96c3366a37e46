"""Which node's pods name which secrets, configmaps, accounts and claims, kept from the stream of pod changes.

A lookup is one dict access; a change costs one walk over one pod's spec.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Iterator
from typing import Any, NamedTuple

from moorage.store.contracts import Cache, Entry, EventType, Expired, Subscription, TooSlow

log = logging.getLogger(__name__)

PATIENCE = 2.0
"""Seconds that a refusal may wait for the index."""
GONE = 10_000
"""Pods that went whose node is remembered."""


class Reference(NamedTuple):
    """One object that a node may read because of a pod."""

    node: str
    resource: str
    namespace: str
    name: str


class PodIndex:
    """References of all bound pods. ``run`` keeps it up to date until it is cancelled."""

    def __init__(self, pods: Cache) -> None:
        self._pods = pods
        self._of_pod: dict[tuple[str, str], frozenset[Reference]] = {}
        self._count: Counter[Reference] = Counter()
        self._gone: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._revision = 0
        self._subscription: Subscription | None = None

    def names(self, node: str, resource: str, namespace: str, name: str) -> bool:
        """Whether a pod bound to ``node`` names the object."""
        return Reference(node, resource, namespace, name) in self._count

    def had(self, node: str, namespace: str, name: str) -> bool:
        """Whether a pod of this name that went lately was the node's: to that node alone it is no secret that it is gone."""
        return self._gone.get((namespace, name)) == node

    async def caught_up(self) -> None:
        """Return once everything that the cache holds now is in the index, or after ``PATIENCE`` seconds."""
        wanted = self._pods.revision
        end = time.monotonic() + PATIENCE
        while self._indexed() < wanted and time.monotonic() < end:  # noqa: ASYNC110 - an idle subscription moves on without an event
            await asyncio.sleep(0.01)

    async def run(self) -> None:
        """Fill the index and follow the pods; where the stream breaks, fill it again."""
        while True:
            revision = self._fill()
            try:
                await self._follow(revision)
            except (TooSlow, Expired) as error:
                log.warning("the index of pods starts over: %s", str(error) or type(error).__name__)

    def _indexed(self) -> int:
        """The revision that the index is at. An idle subscription moves on with the cache though no pod changed."""
        return max(self._revision, self._subscription.revision if self._subscription else 0)

    def _fill(self) -> int:
        self._subscription = None
        self._of_pod.clear()
        self._count.clear()
        self._revision = self._pods.revision
        for entry in self._pods.entries():
            self._put(entry)
        return self._revision

    async def _follow(self, since: int) -> None:
        self._subscription = self._pods.subscribe(since)
        try:
            async for changes in self._subscription:
                for change in changes:
                    if change.type is EventType.DELETED:
                        self._bury(change.entry)
                    else:
                        self._put(change.entry)
        finally:
            self._subscription.close()

    def _put(self, entry: Entry) -> None:
        key = entry.key.namespace, entry.key.name
        new = frozenset(references(entry.document()))
        old = self._of_pod.get(key, frozenset())
        if new == old:
            return
        self._drop(key)
        if new:
            self._of_pod[key] = new
            self._count.update(new)

    def _bury(self, entry: Entry) -> None:
        key = entry.key.namespace, entry.key.name
        self._drop(key)
        self._gone[key] = node_of(entry)
        self._gone.move_to_end(key)
        while len(self._gone) > GONE:
            self._gone.popitem(last=False)

    def _drop(self, key: tuple[str, str]) -> None:
        for reference in self._of_pod.pop(key, ()):
            self._count[reference] -= 1
            if self._count[reference] <= 0:
                del self._count[reference]


def node_of(entry: Entry) -> str:
    """The node that a pod is bound to, or ""."""
    return str(entry.document().get("spec", {}).get("nodeName") or "")


def references(pod: dict[str, Any]) -> Iterator[Reference]:
    """What the pod's node must read to run it: volumes, environment, pull secrets. Nothing for an unbound pod."""
    spec = pod.get("spec") or {}
    node = spec.get("nodeName")
    if not node:
        return
    namespace = pod["metadata"]["namespace"]
    for resource, name in named(spec):
        if name:
            yield Reference(node, resource, namespace, name)
    for volume in spec.get("volumes") or ():
        if volume.get("ephemeral"):
            claim = f"{pod['metadata']['name']}-{volume['name']}"
            yield Reference(node, "persistentvolumeclaims", namespace, claim)


def named(spec: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """(resource, name) of what a pod's spec names; names may be None."""
    yield "serviceaccounts", spec.get("serviceAccountName")
    for secret in spec.get("imagePullSecrets") or ():
        yield "secrets", secret.get("name")
    for volume in spec.get("volumes") or ():
        yield from _in_volume(volume)
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(kind) or ():
            yield from _in_environment(container)


def _in_volume(volume: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "secrets", (volume.get("secret") or {}).get("secretName")
    yield "configmaps", (volume.get("configMap") or {}).get("name")
    yield "persistentvolumeclaims", (volume.get("persistentVolumeClaim") or {}).get("claimName")
    for source in (volume.get("projected") or {}).get("sources") or ():
        yield "secrets", (source.get("secret") or {}).get("name")
        yield "configmaps", (source.get("configMap") or {}).get("name")


def _in_environment(container: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for source in container.get("envFrom") or ():
        yield "secrets", (source.get("secretRef") or {}).get("name")
        yield "configmaps", (source.get("configMapRef") or {}).get("name")
    for variable in container.get("env") or ():
        value = variable.get("valueFrom") or {}
        yield "secrets", (value.get("secretKeyRef") or {}).get("name")
        yield "configmaps", (value.get("configMapKeyRef") or {}).get("name")
