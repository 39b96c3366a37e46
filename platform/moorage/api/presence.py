"""Says that this server lives and where it is reached: a Lease of its own, of which the endpoints of the API's Service are made.

Source: KEP-1965 (kube-apiserver identity).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import socket
from datetime import UTC, datetime
from ipaddress import ip_address

from moorage.api.errors import ApiError
from moorage.api.service import Service
from moorage.api.writing.contracts import Planned, View
from moorage.api.writing.together import PLATFORM, SERVER
from moorage.resources.kind import Document, GroupVersionKind
from moorage.store.contracts import Origin, OutcomeUnknown, Unavailable

log = logging.getLogger(__name__)

NAMESPACE = "kube-system"
IDENTITY = "apiserver.kubernetes.io/identity"
ADDRESS = "moorage.io/address"
SECONDS, DURATION = 10.0, 40
_LEASE = GroupVersionKind("coordination.k8s.io", "v1", "Lease")


def reachable(advertised: str) -> str:
    """``ADDRESS:PORT`` for other machines: a name is looked up, and for a loopback address stands the machine's own."""
    host, _, port = advertised.rpartition(":")
    host = host.strip("[]")
    with contextlib.suppress(ValueError, OSError):
        try:
            address = ip_address(host)
        except ValueError:
            address = ip_address(socket.getaddrinfo(host, None, socket.AF_INET)[0][4][0])
        if address.is_loopback or address.is_unspecified:
            address = ip_address(_own_address())
        return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
    return ""


def _own_address() -> str:
    """The address of the interface with the default route; no packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # TEST-NET-1 (RFC 5737): only the routing table is asked
        return str(probe.getsockname()[0])


class Presence:
    """One server's Lease."""

    def __init__(self, service: Service, advertised: str) -> None:
        self._service = service
        self._advertised = advertised
        self._name = f"apiserver-{hashlib.sha256(service.config.server.encode()).hexdigest()[:26]}"

    async def run(self) -> None:
        """Renew it until cancelled."""
        address = await asyncio.to_thread(reachable, self._advertised)
        if not address:
            log.warning("no address for pods to reach this server at: %s is none of this machine", self._advertised)
            return
        while True:
            try:
                await self._renew(address)
            except (ApiError, Unavailable, OutcomeUnknown) as error:
                log.warning("the lease of this server could not be renewed: %s", error)
            await asyncio.sleep(SECONDS)

    async def _renew(self, address: str) -> None:
        kind = self._service.registry.by_kind(_LEASE)
        assert kind is not None

        async def plan(view: View) -> Planned:
            current = await view.get(kind, NAMESPACE, self._name)
            if current is None:
                return await self._service.planner.create(
                    view, PLATFORM, kind, NAMESPACE, lambda: self._document(address)
                )

            def change(old: Document) -> Document:
                new = self._document(address)
                new["metadata"] = {**old["metadata"], **new["metadata"]}
                return new

            return await self._service.planner.update(view, PLATFORM, kind, NAMESPACE, self._name, change)

        await self._service.executor.run(plan, PLATFORM, Origin(SERVER.name, field_manager=PLATFORM.manager))

    def _document(self, address: str) -> Document:
        metadata = {
            "name": self._name,
            "namespace": NAMESPACE,
            "labels": {IDENTITY: "kube-apiserver", "kubernetes.io/hostname": socket.gethostname().lower()},
            "annotations": {ADDRESS: address},
        }
        spec = {
            "holderIdentity": f"{self._name}_{self._service.config.server}",
            "leaseDurationSeconds": DURATION,
            "renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
