"""The thin part: follows every served kind by its metadata, verifies owners by live reads, deletes and lets go.

Source: Kubernetes' ``pkg/controller/garbagecollector`` and its rules of scope: a dependent in a namespace may be owned from
its own namespace or by a kind of the cluster; a dependent of the cluster only by a kind of the cluster.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from moorage.client import operations
from moorage.client.discovery import Served, served
from moorage.client.errors import ApiError, ClientError, NotFound
from moorage.client.events import EventRecorder
from moorage.client.informer import Informer
from moorage.client.objects import Document, uid_of
from moorage.client.operations import Operation
from moorage.client.reconcile import DONE, Outcome, Runner, Temporary
from moorage.client.resource import Resource
from moorage.controllers.context import Context
from moorage.controllers.garbage.decide import Delete, DropReferences, OwnerState, Unblock, verdict
from moorage.controllers.garbage.graph import FOREGROUND, ORPHAN, Graph, Node, Owner

log = logging.getLogger(__name__)

DISCOVERY_SECONDS = 30.0
SYNC_SECONDS = 30.0
ABSENT_REMEMBERED = 2000
_NOT_FOLLOWED = frozenset({("", "events"), ("events.k8s.io", "events")})
_Coordinates = tuple[str, Owner]
"""A namespace and a reference made from there: what is absent here may well exist elsewhere."""
_NEEDED = frozenset({"delete", "list", "watch"})


def metadata_only(document: Document) -> Document:
    """The transform of kinds that only garbage collection follows: what it needs, and nothing else."""
    metadata = document["metadata"]
    wanted = (
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "ownerReferences",
        "finalizers",
        "deletionTimestamp",
    )
    return {"metadata": {field: metadata[field] for field in wanted if field in metadata}}


class GarbageCollector:
    """Deletes what has lost its last owner; carries out foreground and orphaning deletion."""

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._informers = context.informers
        self._graph = Graph()
        self._kinds: dict[tuple[str, str], Resource] = {}
        self._followed: dict[Resource, Informer] = {}
        self._absent: dict[_Coordinates, None] = {}
        self._ready = asyncio.Event()
        self._events = EventRecorder(context.client, "garbage-collector-controller", clock=context.clock)
        self._runner: Runner[str] = Runner("garbage", self.reconcile, workers=context.options.workers)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._discover(), name="garbage discovery")
            group.create_task(self._events.run(), name="garbage events")
            await self._ready.wait()
            await self._runner.run()

    async def reconcile(self, uid: str) -> Outcome:
        """Look at one object."""
        node = self._graph.get(uid)
        if node is None:
            return DONE
        if node.virtual:
            return DONE  # its dependents settle whether it exists, each for its own namespace
        if node.orphaning:
            return await self._orphan(node)
        if node.foreground:
            outcome = await self._foreground(node)
            if outcome is not None:
                return outcome
        elif node.deleting:
            return DONE
        return await self._judge(node)

    async def _judge(self, node: Node) -> Outcome:
        if all(self._stays(node, owner) for owner in node.owners):
            return DONE
        live = await self._live(node)
        if live is None or uid_of(live) != node.uid:
            return DONE  # the watch will say so
        try:
            states = {owner.uid: await self._owner_state(node, owner) for owner in node.owners}
        except _NotServed as error:
            return Temporary(str(error))
        decision = verdict(node, states)
        if isinstance(decision, DropReferences):
            return await self._send(node, [_without_owners(node, live, set(decision.uids))])
        if isinstance(decision, Unblock):
            outcome = await self._send(node, [_unblocked(node, live)])
            return await self._delete(node, "", "Foreground") if outcome is DONE else outcome
        if isinstance(decision, Delete):
            if node.foreground and decision.propagation == "Foreground":
                return DONE
            log.info("deleting %s %s: its owners are gone", node.kind, node.key)
            return await self._delete(node, str(live["metadata"]["resourceVersion"]), decision.propagation)
        return DONE

    def _stays(self, node: Node, owner: Owner) -> bool:
        """Whether the watch has shown this owner and it is not waiting for its dependents: its end would be shown too."""
        parent = self._graph.observed(node, owner)
        return parent is not None and not parent.foreground

    async def _owner_state(self, node: Node, owner: Owner) -> OwnerState:
        resource = self._kinds.get((owner.api_version, owner.kind))
        if resource is None:
            raise _NotServed(f"{node.kind} {node.key} is owned by a {owner.api_version} {owner.kind}, not served now")
        if resource.namespaced and not node.key.namespace:
            self._invalid_owner(node, owner, "is namespaced and cannot own an object of the cluster")
            return OwnerState.SOLID
        namespace = node.key.namespace if resource.namespaced else ""
        coordinates = (namespace, owner)
        if coordinates in self._absent:
            return OwnerState.ABSENT
        parent = self._graph.get(owner.uid)
        if parent is not None and not parent.virtual and parent.key.namespace != namespace:
            self._invalid_owner(node, owner, f"does not exist in namespace {namespace!r}")
        try:
            live = await self._client.get(resource, owner.name, namespace, metadata_only=True)
        except NotFound:
            self._remember_absent(coordinates)
            return OwnerState.ABSENT
        if uid_of(live) != owner.uid:
            self._remember_absent(coordinates)
            return OwnerState.ABSENT
        metadata = live["metadata"]
        if metadata.get("deletionTimestamp") and FOREGROUND in (metadata.get("finalizers") or ()):
            return OwnerState.WAITING
        return OwnerState.SOLID

    def _invalid_owner(self, node: Node, owner: Owner, why: str) -> None:
        about: Document = {
            "apiVersion": node.api_version,
            "kind": node.kind,
            "metadata": {"name": node.key.name, "namespace": node.key.namespace, "uid": node.uid},
        }
        message = f"ownerRef [{owner.api_version}/{owner.kind}, name: {owner.name}, uid: {owner.uid}] {why}"
        self._events.record(about, "Warning", "OwnerRefInvalidNamespace", message)

    def _remember_absent(self, coordinates: _Coordinates) -> None:
        """Uids are never used again, so an absence holds for ever; remembering it saves reads for a thousand siblings."""
        self._absent[coordinates] = None
        if len(self._absent) > ABSENT_REMEMBERED:
            del self._absent[next(iter(self._absent))]

    async def _foreground(self, node: Node) -> Outcome | None:
        """Dependents that block go first, then the finalizer. None: still waiting, judge it by its owners too."""
        blocking = node.blocking()
        if not blocking:
            return await self._remove_finalizer(node, FOREGROUND)
        for dependent in blocking:
            if not dependent.deleting:
                self._runner.queue.add(dependent.uid)
        return None

    async def _orphan(self, node: Node) -> Outcome:
        """Take this owner out of all its dependents, then let it go."""
        steps = [
            operation for dependent in node.own() if (operation := await self._orphaned(node, dependent)) is not None
        ]
        if steps:
            for result in (await self._client.batch(steps)).results:
                if result.error is not None and not isinstance(result.error, NotFound):
                    return Temporary(str(result.error))
        return await self._remove_finalizer(node, ORPHAN)

    async def _orphaned(self, owner: Node, dependent: Node) -> Operation | None:
        live = await self._live(dependent)
        if live is None or uid_of(live) != dependent.uid:
            return None
        return _without_owners(dependent, live, {owner.uid})

    async def _remove_finalizer(self, node: Node, finalizer: str) -> Outcome:
        live = await self._live(node)
        if live is None or uid_of(live) != node.uid:
            return DONE
        finalizers = live["metadata"].get("finalizers") or []
        if finalizer not in finalizers:
            return DONE
        rest = [each for each in finalizers if each != finalizer]
        return await self._send(node, [_metadata_patch(node, live, {"finalizers": rest})])

    async def _live(self, node: Node) -> Document | None:
        assert node.resource is not None
        try:
            return await self._client.get(node.resource, node.key.name, node.key.namespace, metadata_only=True)
        except NotFound:
            return None

    async def _delete(self, node: Node, version: str, propagation: str) -> Outcome:
        """Delete this uid; with ``version``, only if the owners are still those that were judged."""
        assert node.resource is not None
        namespace, name = node.key
        step = operations.delete(
            node.resource, namespace, name, uid=node.uid, resource_version=version, propagation=propagation
        )
        return await self._send(node, [step])

    async def _send(self, node: Node, steps: Sequence[Operation]) -> Outcome:
        for result in (await self._client.batch(steps)).results:
            if result.error is not None and not isinstance(result.error, NotFound):
                return Temporary(f"{node.kind} {node.key}: {result.error}")
        return DONE

    async def _discover(self) -> None:
        """Follow every kind that is served; look again from time to time, for kinds come and go."""
        while True:
            try:
                self._follow(await served(self._client))
                await self._wait_synced()
                self._ready.set()
            except ClientError as error:
                log.warning("garbage collection: cannot discover kinds: %s", error)
                await asyncio.sleep(1.0 if isinstance(error, ApiError) else 2.0)
                if not self._ready.is_set():
                    continue
            await asyncio.sleep(DISCOVERY_SECONDS)

    async def _wait_synced(self) -> None:
        """Wait for the first lists; not for ever, for a kind that cannot be read must not stop the collection of all others.
        Nothing is deleted on the word of a cache anyway.
        """
        try:
            async with asyncio.timeout(SYNC_SECONDS):
                for informer in list(self._followed.values()):
                    await informer.wait_synced()
        except TimeoutError:
            missing = [resource.qualified for resource, informer in self._followed.items() if not informer.synced]
            log.warning("garbage collection goes on without %s, which cannot be read", ", ".join(missing))

    def _follow(self, found: Sequence[Served]) -> None:
        kinds = {
            each.resource
            for each in found
            if each.verbs >= _NEEDED and (each.resource.group, each.resource.plural) not in _NOT_FOLLOWED
        }
        self._kinds = {(each.api_version, each.kind): each for each in kinds}
        for resource in kinds - self._followed.keys():
            informer = self._informers.find(resource)
            if informer is None:
                informer = self._informers.get(resource, transform=metadata_only, metadata_only=True)
            self._followed[resource] = informer
            informer.add_handler(self._handler(resource))
        for resource in self._followed.keys() - kinds:
            del self._followed[resource]
            self._informers.drop_metadata(resource)

    def _handler(self, resource: Resource) -> Callable[[Document | None, Document | None], None]:
        def changed(old: Document | None, new: Document | None) -> None:
            if new is not None:
                touched = self._graph.put(resource, new)
            else:
                assert old is not None
                touched = self._graph.remove(uid_of(old))
            for uid in touched:
                self._runner.queue.add(uid)

        return changed


class _NotServed(Exception):
    """An owner of a kind that discovery does not know (now): its state cannot be told."""


def _metadata_patch(node: Node, live: Document, change: Document) -> Operation:
    """A merge patch of metadata at the version that was read."""
    assert node.resource is not None
    fixed = {"uid": node.uid, "resourceVersion": live["metadata"]["resourceVersion"]}
    namespace, name = node.key
    return operations.patch(node.resource, namespace, name, {"metadata": {**fixed, **change}})


def _without_owners(node: Node, live: Document, uids: set[str]) -> Operation:
    references = live["metadata"].get("ownerReferences") or []
    rest = [reference for reference in references if reference["uid"] not in uids]
    return _metadata_patch(node, live, {"ownerReferences": rest or None})


def _unblocked(node: Node, live: Document) -> Operation:
    references = live["metadata"].get("ownerReferences") or []
    changed = [{**reference, "blockOwnerDeletion": False} for reference in references]
    return _metadata_patch(node, live, {"ownerReferences": changed})
