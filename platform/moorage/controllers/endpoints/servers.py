"""The API servers behind ``default/kubernetes``: those whose Lease is renewed. Source: KEP-1965, reconcilers/lease.go."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from moorage.client import operations
from moorage.client.errors import AlreadyExists, ClientError, Conflict
from moorage.client.objects import Document
from moorage.client.operations import Operation
from moorage.client.resource import ENDPOINT_SLICES, ENDPOINTS, LEASES, SERVICES
from moorage.controllers.context import Context

log = logging.getLogger(__name__)

LEASE_NAMESPACE = "kube-system"
IDENTITY, ADDRESS = "apiserver.kubernetes.io/identity", "moorage.io/address"
NAMESPACE, NAME = "default", "kubernetes"
SKIP = {"endpointslice.kubernetes.io/skip-mirror": "true"}
EVERY = 5.0


def documents(addresses: Sequence[tuple[str, int]]) -> tuple[Document, Document]:
    """Endpoints and EndpointSlice of the API's Service. Servers on several ports share the first one's slice."""
    port = addresses[0][1]
    hosts = [host for host, own in addresses if own == port]
    entry = {"name": "https", "port": port, "protocol": "TCP"}
    endpoints = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": dict(SKIP)},
        "subsets": [
            {
                "addresses": [{"ip": host} for host, own in addresses if own == number],
                "ports": [{"name": "https", "port": number, "protocol": "TCP"}],
            }
            for number in sorted({number for _, number in addresses})
        ],
    }
    piece = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": {"kubernetes.io/service-name": NAME}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [host], "conditions": {"ready": True}} for host in hosts],
        "ports": [entry],
    }
    return endpoints, piece


class ApiServersController:
    """Looks at the leases of API servers every few seconds, and when one comes or goes."""

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._leases = context.informers.get(LEASES, LEASE_NAMESPACE)
        self._services = context.informers.get(SERVICES)
        self._endpoints = context.informers.get(ENDPOINTS)
        self._slices = context.informers.get(ENDPOINT_SLICES)
        self._seen: dict[str, tuple[str, float]] = {}
        """By lease: its last renewal, and when we saw it (the loop's time): other machines' clocks do not matter."""
        self._wake = asyncio.Event()
        self._leases.add_handler(self._changed)

    async def run(self) -> None:
        """Work until cancelled."""
        for informer in (self._leases, self._services, self._endpoints, self._slices):
            await informer.wait_synced()
        while True:
            self._wake.clear()
            try:
                await self.look()
            except ClientError as error:
                log.warning("endpoints of the API: %s; looking again", error)
            try:
                async with asyncio.timeout(EVERY):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def look(self) -> None:
        """One look at all leases."""
        if self._services.get(NAMESPACE, NAME) is None:
            return
        addresses = self._living()
        if not addresses:
            return  # at least the server that we speak to lives: it has not written its lease yet
        endpoints, piece = documents(addresses)
        steps: list[Operation] = []
        for wanted, old in (
            (endpoints, self._endpoints.get(NAMESPACE, NAME)),
            (piece, self._slices.get(NAMESPACE, NAME)),
        ):
            if old is None:
                steps.append(operations.create(wanted))
            elif any(old.get(field) != wanted[field] for field in wanted if field != "metadata"):
                steps.append(operations.update({**wanted, "metadata": {**old["metadata"], **wanted["metadata"]}}))
        for result in (await self._client.batch(steps)).results if steps else ():
            if result.error is not None and not isinstance(result.error, Conflict | AlreadyExists):
                log.warning("endpoints of the API: %s", result.error)

    def _living(self) -> list[tuple[str, int]]:
        """Addresses and ports of the servers whose lease was renewed within its time."""
        now = asyncio.get_running_loop().time()
        found: set[tuple[str, int]] = set()
        names: set[str] = set()
        for lease in self._leases:
            metadata = lease["metadata"]
            if IDENTITY not in (metadata.get("labels") or {}):
                continue
            names.add(metadata["name"])
            renewed = str(lease["spec"].get("renewTime"))
            known = self._seen.get(metadata["name"])
            if known is None or known[0] != renewed:
                known = self._seen[metadata["name"]] = (renewed, now)
            host, _, port = (metadata.get("annotations") or {}).get(ADDRESS, "").rpartition(":")
            if host and port.isdigit() and now - known[1] <= lease["spec"].get("leaseDurationSeconds", 40):
                found.add((host.strip("[]"), int(port)))
        self._seen = {name: each for name, each in self._seen.items() if name in names}
        return sorted(found)

    def _changed(self, old: Document | None, new: Document | None) -> None:
        if old is None or new is None:
            self._wake.set()
