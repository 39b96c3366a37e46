"""The thin part: reads caches, asks the planners, writes one batch for each Service."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from moorage.client import operations
from moorage.client.errors import AlreadyExists, Conflict, Forbidden, NotFound
from moorage.client.informer import Informer
from moorage.client.lean import lean_pod
from moorage.client.objects import Document, ObjectKey, is_deleting, key_of
from moorage.client.operations import Operation
from moorage.client.reconcile import DONE, Outcome, Runner, Temporary
from moorage.client.resource import ENDPOINT_SLICES, ENDPOINTS, NODES, PODS, SERVICES
from moorage.controllers.context import Context
from moorage.controllers.endpoints import classic, mirror, slices
from moorage.controllers.endpoints.found import ZONE, look, managed, selects
from moorage.controllers.endpoints.slices import Changes

log = logging.getLogger(__name__)

NAMESPACE_INDEX = "namespace"
SERVICE_INDEX = "service of the slice"
API_SERVICE = ObjectKey("default", "kubernetes")


def index_namespaces(informer: Informer) -> None:
    """Make objects findable by their namespace."""
    informer.add_index(NAMESPACE_INDEX, lambda each: (each["metadata"].get("namespace") or "",))


def _service_of(piece: Document) -> Iterable[ObjectKey]:
    name = (piece["metadata"].get("labels") or {}).get(slices.SERVICE_NAME)
    return (ObjectKey(piece["metadata"]["namespace"], name),) if name else ()


class EndpointsController:
    """Keeps EndpointSlices and Endpoints of every Service: from pods where it has a selector, else slices from Endpoints."""

    def __init__(self, context: Context) -> None:
        self._client = context.client
        informers = context.informers
        self._services = informers.get(SERVICES)
        self._pods = informers.get(PODS, transform=lean_pod)
        self._nodes = informers.get(NODES)
        self._endpoints = informers.get(ENDPOINTS)
        self._slices = informers.get(ENDPOINT_SLICES)
        self._runner: Runner[ObjectKey] = Runner("endpoints", self.reconcile, workers=context.options.workers)
        index_namespaces(self._services)
        index_namespaces(self._pods)
        self._slices.add_index(SERVICE_INDEX, _service_of)
        self._services.add_handler(self._changed)
        self._endpoints.add_handler(self._changed)
        self._slices.add_handler(self._slice_changed)
        self._pods.add_handler(self._pod_changed)
        self._nodes.add_handler(self._node_changed)

    async def run(self) -> None:
        """Work until cancelled."""
        for informer in (self._services, self._pods, self._nodes, self._endpoints, self._slices):
            await informer.wait_synced()
        await self._runner.run()

    async def reconcile(self, key: ObjectKey) -> Outcome:
        """Look at one Service."""
        steps = self._steps(key)
        if not steps:
            return DONE
        results = (await self._client.batch(steps)).results
        for result in results:
            if result.error is None or isinstance(result.error, NotFound):
                continue
            if isinstance(result.error, Forbidden) and result.error.causes:
                return DONE  # the namespace is going away
            if isinstance(result.error, AlreadyExists | Conflict):
                return Temporary(f"the cache lags behind: {result.error}")
            return Temporary(str(result.error))
        return DONE

    def _steps(self, key: ObjectKey) -> list[Operation]:
        service = self._services.get(*key)
        endpoints = self._endpoints.get(*key)
        mine, mirrored = self._kept(key, slices.CONTROLLER), self._kept(key, mirror.CONTROLLER)
        if key == API_SERVICE:
            return []  # kept by ApiServersController
        if service is None or is_deleting(service):
            ours = endpoints is not None and _is_ours(endpoints)
            gone = [operations.delete(ENDPOINTS, *key)] if ours else []
            return gone + [_delete(each) for each in (*mine, *mirrored)]
        if managed(service):
            found = look(service, self._pods.by_index(NAMESPACE_INDEX, key.namespace), self._zones())
            changes = slices.plan(service, found, mine)
            wanted = classic.plan(service, found, endpoints)
            written = [] if wanted is None else [_write(wanted)]
            return _operations(changes) + written + [_delete(each) for each in mirrored]
        steps = [_delete(each) for each in mine]
        if endpoints is None or not mirror.mirrors(endpoints, service):
            return steps + [_delete(each) for each in mirrored]
        return steps + _operations(mirror.plan(endpoints, mirrored))

    def _kept(self, key: ObjectKey, controller: str) -> list[Document]:
        found = self._slices.by_index(SERVICE_INDEX, key)
        return [each for each in found if (each["metadata"]["labels"]).get(slices.MANAGED_BY) == controller]

    def _zones(self) -> dict[str, str]:
        labels = {node["metadata"]["name"]: node["metadata"].get("labels") or {} for node in self._nodes}
        return {name: each[ZONE] for name, each in labels.items() if ZONE in each}

    def _changed(self, old: Document | None, new: Document | None) -> None:
        document = new or old
        assert document is not None
        self._runner.queue.add(key_of(document))

    def _slice_changed(self, old: Document | None, new: Document | None) -> None:
        for document in (old, new):
            for key in _service_of(document) if document is not None else ():
                self._runner.queue.add(key)

    def _pod_changed(self, old: Document | None, new: Document | None) -> None:
        if old is not None and new is not None and _offer(old) == _offer(new):
            return
        pod = new or old
        assert pod is not None
        for service in self._services.by_index(NAMESPACE_INDEX, pod["metadata"]["namespace"]):
            states = [each["metadata"].get("labels") for each in (old, new) if each is not None]
            if any(selects(service, labels) for labels in states):
                self._runner.queue.add(key_of(service))

    def _node_changed(self, old: Document | None, new: Document | None) -> None:
        zones = [((each or {}).get("metadata") or {}).get("labels", {}).get(ZONE) for each in (old, new)]
        if zones[0] != zones[1]:
            for service in self._services:
                self._runner.queue.add(key_of(service))


def _offer(pod: Document) -> tuple[object, ...]:
    """What of a pod its Services' endpoints depend on."""
    status, metadata = pod.get("status") or {}, pod["metadata"]
    ready = [each.get("status") for each in status.get("conditions") or () if each.get("type") == "Ready"]
    return (
        metadata.get("labels"),
        metadata.get("deletionTimestamp"),
        metadata.get("uid"),
        status.get("podIP"),
        status.get("phase"),
        ready,
        pod["spec"].get("nodeName"),
    )


def _is_ours(endpoints: Document) -> bool:
    return (endpoints["metadata"].get("labels") or {}).get(classic.MANAGED_BY) == classic.CONTROLLER


def _write(document: Document) -> Operation:
    known = document["metadata"].get("resourceVersion")
    return operations.update(document) if known else operations.create(document)


def _delete(piece: Document) -> Operation:
    return operations.delete(ENDPOINT_SLICES, *key_of(piece), uid=piece["metadata"]["uid"])


def _operations(changes: Changes) -> list[Operation]:
    created = [operations.create(each) for each in changes.create]
    updated = [operations.update(each) for each in changes.update]
    return created + updated + [_delete(each) for each in changes.delete]
