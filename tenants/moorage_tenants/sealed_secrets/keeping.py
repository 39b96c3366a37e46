"""The loop that keeps the Secrets of SealedSecrets as they say: one that is deleted or edited is set right again.

A push or an apply writes both in one commit; this is for what happens to the Secret afterwards. What cannot be set right is told
in the SealedSecret's condition ``Synced``.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from cryptography.exceptions import InvalidTag

from moorage.api.contracts import Operation, TransactionRequest, Transactor
from moorage.api.errors import ApiError
from moorage.api.writing.together import SERVER
from moorage.api.writing.views import CacheView
from moorage.resources.core.secrets import SECRET
from moorage.resources.kind import Document
from moorage.resources.sealed_secrets import SEALED_SECRET
from moorage.store.contracts import Entry, Expired, OutcomeUnknown, Store, TooSlow, Unavailable
from moorage_tenants.sealed_secrets.unsealing import Unsealing, refuse_foreign

log = logging.getLogger(__name__)

EVERY = 60.0
"""Seconds between two looks at all of them."""
MANAGER = "moorage-server"
MERGE_PATCH = "application/merge-patch+json"
_OWNED = b'"SealedSecret"'

IsLeader = Callable[[], Awaitable[bool]]
"""Whether this server is the one that does it now; several would only get in each other's way."""


class Keeper:
    """One for each server."""

    def __init__(self, store: Store, transactor: Transactor, unsealing: Unsealing, is_leader: IsLeader) -> None:
        self._store = store
        self._transactor = transactor
        self._unsealing = unsealing
        self._is_leader = is_leader
        self._right: dict[tuple[str, str], tuple[int, int]] = {}
        """By namespace and name: the revisions of SealedSecret and Secret that were found to agree."""

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                await self._follow()
            except (Expired, TooSlow):
                continue
            except (Unavailable, OutcomeUnknown, InvalidTag) as error:
                log.warning("SealedSecrets: %s", error)
                await asyncio.sleep(1)

    async def _follow(self) -> None:
        """Look at all, then at what changes, for a while."""
        secrets = await self._store.cache(SECRET.storage)
        subscription = secrets.subscribe(secrets.revision)
        try:
            await self._look_at_all()
            async with asyncio.timeout(EVERY):
                async for changes in subscription:
                    places = {
                        (change.entry.key.namespace, change.entry.key.name)
                        for change in changes
                        if _OWNED in change.entry.data or (change.previous and _OWNED in change.previous.data)
                    }
                    if places and await self._is_leader():
                        for place in sorted(places):
                            await self._keep(*place)
        except TimeoutError:
            return
        finally:
            subscription.close()

    async def _look_at_all(self) -> None:
        if not await self._is_leader():
            return
        cache = await self._store.cache(SEALED_SECRET.storage)
        entries = cache.entries()
        for entry in entries:
            await self._keep(entry.key.namespace, entry.key.name)
        there = {(entry.key.namespace, entry.key.name) for entry in entries}
        self._right = {place: seen for place, seen in self._right.items() if place in there}

    async def _keep(self, namespace: str, name: str) -> None:
        view = CacheView(self._store)
        await view.refresh()
        sealed = await view.get(SEALED_SECRET, namespace, name)
        if sealed is None:
            return
        secret = await view.get(SECRET, namespace, name)
        seen = (sealed.revision, secret.revision if secret is not None else 0)
        if self._right.get((namespace, name)) == seen:
            return
        document = sealed.document()
        if "deletionTimestamp" in document["metadata"]:
            return
        try:
            await refuse_foreign(view, document)
            wanted = await self._unsealing.secret_of(document)
            if secret is None or _differs(secret.document(), wanted):
                await self._write(wanted, secret)
                log.info("the Secret %s/%s was set right: it follows its SealedSecret", namespace, name)
            else:
                self._right[namespace, name] = seen
        except ApiError as error:
            await self._tell(document, "False", "Conflict" if error.code == 409 else "Refused", error.message)
            return
        await self._tell(document, "True", "Unsealed", f"Secret {name} holds {len(wanted['data'])} values of it")

    async def _write(self, wanted: Document, secret: Entry | None) -> None:
        metadata = wanted["metadata"]
        operation = Operation(
            "create" if secret is None else "update",
            SECRET,
            metadata["namespace"],
            metadata["name"],
            wanted,
            field_manager=MANAGER,
        )
        await self._send(operation)

    async def _tell(self, sealed: Document, status: str, reason: str, message: str) -> None:
        """Set the condition, where it says something else."""
        conditions = (sealed.get("status") or {}).get("conditions") or [{}]
        before: Mapping[str, Any] = conditions[0]
        if (before.get("status"), before.get("reason")) == (status, reason):
            return
        generation = sealed["metadata"].get("generation", 1)
        condition = {
            "type": "Synced",
            "status": status,
            "reason": reason,
            "message": message,
            "observedGeneration": generation,
            "lastTransitionTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        metadata = sealed["metadata"]
        operation = Operation(
            "patch",
            SEALED_SECRET,
            metadata["namespace"],
            metadata["name"],
            subresource="status",
            patch={"status": {"observedGeneration": generation, "conditions": [condition]}},
            patch_type=MERGE_PATCH,
            uid=metadata["uid"],
            field_manager=MANAGER,
        )
        await self._send(operation)

    async def _send(self, operation: Operation) -> None:
        """Raises ApiError. What another server has done meanwhile is no error."""
        result = await self._transactor.transact(SERVER, TransactionRequest([operation], field_manager=MANAGER))
        error = result.error or next((each.error for each in result.results if each.error), None)
        if error is not None and error.get("reason") not in ("AlreadyExists", "NotFound"):
            raise ApiError(int(error["code"]), str(error["message"]), reason=str(error.get("reason", "")))


def _differs(secret: Document, wanted: Document) -> bool:
    metadata, given = secret["metadata"], wanted["metadata"]
    return (
        secret.get("type") != wanted["type"]
        or (secret.get("data") or {}) != wanted["data"]
        or bool(secret.get("immutable")) != bool(wanted.get("immutable"))
        or any(
            (metadata.get(part) or {}).get(key) != value
            for part in ("labels", "annotations")
            for key, value in given.get(part, {}).items()
        )
    )
