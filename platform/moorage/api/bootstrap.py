"""What must exist before anybody asks: the system's namespaces and the Service of the API itself, made once by whichever
server starts first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial
from ipaddress import ip_network

from moorage.api.contracts import Operation, TransactionRequest
from moorage.api.errors import ApiError
from moorage.api.fairness.condition import mark_all
from moorage.api.fairness.defaults import DEFAULTS as FLOW_DEFAULTS
from moorage.api.freshness import fresh
from moorage.api.request import new_request_id
from moorage.api.service import Service
from moorage.api.transactions.engine import Engine
from moorage.api.writing.contracts import Planned, View
from moorage.api.writing.namespaces import namespace_kind
from moorage.api.writing.together import PLATFORM, SERVER
from moorage.resources.kind import Document, GroupVersionKind, Kind
from moorage.store.contracts import Origin, OutcomeUnknown, Unavailable

log = logging.getLogger(__name__)

NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
RETRY_SECONDS = 0.5
ATTEMPTS = 20
"""Times that the bootstrap objects are written anew because another server wrote them meanwhile."""


class Startup:
    """Makes the bootstrap objects and fills the caches, in the background; readiness waits for it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.waiting_for = "the bootstrap objects"
        """What is not there yet; "" once all is."""

    async def run(self) -> None:
        """Return when the server is ready. Where the database is away, it tries again until it is back."""
        while True:
            try:
                await self._bootstrap()
                await self._warm()
                self.waiting_for = ""
                return
            except (Unavailable, OutcomeUnknown) as error:
                log.warning("not ready: %s: %s; trying again", self.waiting_for, error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _bootstrap(self) -> None:
        registry = self._service.registry
        for name in NAMESPACES:
            await self._ensure(namespace_kind(registry), "", partial(_namespace, name))
        ranges = registry.by_plural("networking.k8s.io", "v1", "servicecidrs")
        cidrs = self._service.config.service_cidrs
        if ranges is not None:
            await self._ensure(ranges, "", partial(_service_range, cidrs))
        services = registry.by_plural("", "v1", "services")
        if services is not None:
            await self._ensure(services, "default", partial(_service, cidrs))
        await self._keep([*FLOW_DEFAULTS, *self._service.config.bootstrap])
        await mark_all(self._service)

    async def _keep(self, documents: Sequence[Document]) -> None:
        """Make what is missing and bring the rest up to date, in one transaction: servers that start together meet there."""
        for _ in range(ATTEMPTS):
            operations = [each for each in [await self._operation(document) for document in documents] if each]
            if not operations:
                return
            asked = TransactionRequest(operations, field_manager=PLATFORM.manager, request_id=new_request_id())
            result = await Engine(self._service).transact(SERVER, asked)
            if result.committed:
                return
            error = result.error or next(each.error for each in result.results if each.error is not None)
            code, message = int(error["code"]), str(error["message"])
            if code == 503:
                raise Unavailable(message)
            if code == 504:
                raise OutcomeUnknown(message)
            if code != 409:
                raise ApiError(code, f"the bootstrap objects cannot be written: {message}")
        raise Unavailable("the bootstrap objects met other writers too often")

    async def _operation(self, document: Document) -> Operation | None:
        """What makes the stored object as ``document`` asks, or None where it is so."""
        group, _, version = document["apiVersion"].rpartition("/")
        kind = self._service.registry.by_kind(GroupVersionKind(group, version, document["kind"]))
        if kind is None:
            raise LookupError(f"{document['apiVersion']} {document['kind']} is not served")
        namespace, name = document["metadata"].get("namespace", ""), document["metadata"]["name"]
        stored = (await fresh(self._service.store, kind.storage)).get(namespace, name)
        if stored is None:
            return Operation("create", kind, namespace, name, deepcopy(document))
        new = self._service.config.bring_up_to_date(stored.document(), document)
        return None if new is None else Operation("update", kind, namespace, name, new)

    async def _ensure(self, kind: Kind, namespace: str, document: Callable[[], Document]) -> None:
        async def plan(view: View) -> Planned:
            return await self._service.planner.create(view, PLATFORM, kind, namespace, document)

        try:
            await self._service.executor.run(plan, PLATFORM, Origin(SERVER.name, field_manager=PLATFORM.manager))
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise

    async def _warm(self) -> None:
        for kind in self._service.registry:
            if "create" in kind.verbs and "list" in kind.verbs:
                self.waiting_for = f"the cache of {kind.plural}"
                await self._service.store.cache(kind.storage)


def _namespace(name: str) -> Document:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _service_range(cidrs: Sequence[str]) -> Document:
    """Where addresses of Services come from (KEP-1880)."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": list(cidrs)},
    }


def _service(cidrs: Sequence[str]) -> Document:
    """How pods find the API (``kubernetes.default``), at the first address of the range.

    Source: pkg/controlplane/controller/kubernetesservice.
    """
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "namespace": "default",
            "name": "kubernetes",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "type": "ClusterIP",
            "clusterIP": str(ip_network(cidrs[0]).network_address + 1),
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}],
        },
    }
