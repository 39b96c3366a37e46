"""Which servers are alive and which key-encryption keys they have: a Lease of each, as Kubernetes' API servers keep them.

A key must not be wrapped by a key-encryption key that some server cannot open; so a rotation looks here first.
Source of the form: KEP-1965, kube-apiserver identity.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from moorage.api.contracts import Operation, TransactionRequest, Transactor
from moorage.api.writing.together import SERVER
from moorage.resources.coordination import LEASE
from moorage.resources.kind import Document
from moorage.store.contracts import Store
from moorage_tenants.sealing.documents import DocumentSealer

log = logging.getLogger(__name__)

NAMESPACE = "kube-system"
LABEL = "secrets.moorage.io/server"
KEKS = "secrets.moorage.io/key-encryption-keys"
SECONDS = 90
RENEW = 30.0
MANAGER = "moorage-server"
GONE = 24 * 3600
"""Seconds after which the Lease of a server that did not come back is removed."""


class Servers:
    """This server's Lease, and those of the others."""

    def __init__(self, store: Store, transactor: Transactor, sealer: DocumentSealer, name: str) -> None:
        self._store = store
        self._transactor = transactor
        self._sealer = sealer
        self.name = name
        self._lease = f"moorage-server-{hashlib.sha256(name.encode()).hexdigest()[:26]}"
        self._told: tuple[str, ...] = ()
        self._renewed = 0.0

    async def tell(self, *, now: bool = False) -> None:
        """Renew this server's Lease where it is time, or where it has other keys than it told of."""
        keys = (await self._sealer.kek(fresh=True)).ids
        if not now and keys == self._told and time.monotonic() - self._renewed < RENEW:
            return
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        document: Document = {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": {
                "name": self._lease,
                "namespace": NAMESPACE,
                "labels": {LABEL: "true"},
                "annotations": {KEKS: ",".join(keys)},
            },
            "spec": {"holderIdentity": self.name, "leaseDurationSeconds": SECONDS, "renewTime": moment},
        }
        await self._send(Operation("apply", LEASE, NAMESPACE, self._lease, document, field_manager=MANAGER, force=True))
        self._told, self._renewed = keys, time.monotonic()

    async def leave(self) -> None:
        """Take this server's Lease away: nobody has to wait for it."""
        await self._send(Operation("delete", LEASE, NAMESPACE, self._lease))

    async def others(self) -> Mapping[str, frozenset[str]]:
        """The other servers that are alive, and the ids of the key-encryption keys that each has."""
        now = time.time()
        found = {}
        for lease in await self._leases():
            spec = lease.get("spec") or {}
            if spec.get("holderIdentity") != self.name and now - _renewed(spec) < SECONDS:
                text = (lease["metadata"].get("annotations") or {}).get(KEKS, "")
                found[str(spec.get("holderIdentity"))] = frozenset(text.split(","))
        return found

    async def sweep(self) -> None:
        """Remove the Leases of servers that went and did not come back."""
        now = time.time()
        for lease in await self._leases():
            if now - _renewed(lease.get("spec") or {}) > GONE:
                metadata = lease["metadata"]
                await self._send(Operation("delete", LEASE, NAMESPACE, metadata["name"], uid=metadata["uid"]))

    async def _leases(self) -> list[Document]:
        cache = await self._store.cache(LEASE.storage)
        await cache.wait(await self._store.latest())
        return [entry.document() for entry in cache.entries(NAMESPACE) if LABEL in entry.labels]

    async def _send(self, operation: Operation) -> None:
        result = await self._transactor.transact(SERVER, TransactionRequest([operation], field_manager=MANAGER))
        if not result.committed and operation.verb != "delete":
            error = result.error or next((each.error for each in result.results if each.error), None) or {}
            log.warning("the Lease of this server cannot be kept: %s", error.get("message"))


def _renewed(spec: Mapping[str, object]) -> float:
    text = str(spec.get("renewTime") or "")
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0
