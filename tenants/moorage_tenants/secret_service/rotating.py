"""The loop of a server that carries out KeyRotations. One server does an order; where it dies, another one goes on."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidTag

from moorage.api.contracts import Operation, TransactionRequest, Transactor
from moorage.api.writing.together import SERVER
from moorage.resources.kind import Document
from moorage.resources.sealed_secrets import FINISHED, KEY_ROTATION
from moorage.store.contracts import DataKey, OutcomeUnknown, Store, Unavailable
from moorage.store.errors import SealBroken
from moorage_tenants.sealed_secrets.keys import SealingKeys
from moorage_tenants.sealing.documents import LOOK_AGAIN
from moorage_tenants.sealing.kek import BadKek
from moorage_tenants.sealing.rotation import Rotation
from moorage_tenants.secret_service.servers import Servers

log = logging.getLogger(__name__)

MERGE_PATCH = "application/merge-patch+json"
SILENCE = 30.0
"""Seconds without a sign of its server after which an order is taken over."""
TELL_EVERY = 1.0
RETIRE_EVERY = 300.0
RETIRE_AFTER = 600.0
"""Seconds for which an old data key is kept at least: whatever is on its way with it has arrived by then."""


@dataclass(frozen=True, slots=True)
class Intervals:
    """Seconds: between two looks for orders, and for what another server may still do with a key that it remembers."""

    look: float = 1.0
    settle: float = LOOK_AGAIN + 2.0


class Overtaken(Exception):
    """Another server has taken the order."""


class Rotator:
    """Carries out orders, and throws old data keys away when nothing needs them."""

    def __init__(
        self,
        store: Store,
        transactor: Transactor,
        rotation: Rotation,
        sealing_keys: SealingKeys,
        servers: Servers,
        intervals: Intervals | None = None,
    ) -> None:
        self._store = store
        self._transactor = transactor
        self._rotation = rotation
        self._sealing_keys = sealing_keys
        self._servers = servers
        self._intervals = intervals or Intervals()
        self._old: dict[tuple[str, str], float] = {}
        self._retired = time.monotonic()
        self._done: dict[str, int] = {"documents": 0, "keys": 0, "rotations": 0}

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            while True:
                try:
                    await self._turn()
                except (Unavailable, OutcomeUnknown, BadKek, InvalidTag, SealBroken, Overtaken) as error:
                    log.warning("secrets: %s", error, extra={"action": "rotate"})
                await asyncio.sleep(self._intervals.look)
        finally:
            try:
                async with asyncio.timeout(2):
                    await self._servers.leave()
            except (TimeoutError, Unavailable, OutcomeUnknown):
                log.info("this server's Lease was left to end by itself")

    def metrics(self) -> Iterable[str]:
        """Lines of Prometheus text."""
        for name, what in (
            ("documents", "Documents that were sealed again by rotations on this server."),
            ("keys", "Keys that were wrapped again by rotations on this server."),
            ("rotations", "Rotations that ended on this server."),
        ):
            metric = (
                f"moorage_secrets_rotated_{name}_total" if name != "rotations" else "moorage_secrets_rotations_total"
            )
            yield f"# HELP {metric} {what}"
            yield f"# TYPE {metric} counter"
            yield f"{metric} {self._done[name]}"

    async def _turn(self) -> None:
        await self._servers.tell()
        for entry in (await self._store.cache(KEY_ROTATION.storage)).entries():
            order = entry.document()
            if self._is_free(order):
                await self._carry_out(_Order(self, order))
        if time.monotonic() - self._retired > RETIRE_EVERY:
            self._retired = time.monotonic()
            await self._servers.sweep()
            await self._retire()

    def _is_free(self, order: Document) -> bool:
        status = order.get("status") or {}
        if status.get("phase") in FINISHED:
            return False
        worker, seen = status.get("worker"), status.get("heartbeatTime")
        return not worker or worker == self._servers.name or time.time() - _seconds(seen) > SILENCE

    async def _carry_out(self, order: _Order) -> None:
        await order.tell(phase="Running", startedAt=order.status.get("startedAt") or _now(), message="beginning")
        spec = order.document.get("spec") or {}
        try:
            if spec.get("keyEncryptionKey"):
                await self._change_kek(order)
            if spec.get("dataKeys"):
                await self._change_data_keys(order, spec.get("namespace", ""))
            if spec.get("sealingKey"):
                made = await self._sealing_keys.renew()
                await order.tell(message=f"SealedSecrets are sealed to the key {made} from now on")
        except (SealBroken, InvalidTag, BadKek) as error:
            await order.tell(phase="Failed", message=str(error), finishedAt=_now())
            return
        self._done["rotations"] += 1
        await order.tell(phase="Succeeded", message="all keys are in use", finishedAt=_now())

    async def _change_kek(self, order: _Order) -> None:
        target = await self._rotation.next_kek()
        await self._servers.tell(now=True)
        while missing := sorted(name for name, keys in (await self._servers.others()).items() if target not in keys):
            text = f"waiting for {', '.join(missing)} to be given the key-encryption key {target}"
            if order.status.get("message") != text or order.is_silent():
                await order.tell(phase="Waiting", message=text)
            await asyncio.sleep(self._intervals.look)
            await self._servers.tell()
        await order.tell(phase="Running", keyEncryptionKey=target, message=f"wrapping keys by {target}")
        while keys := await self._rotation.wrapped_by_others(target):
            order.total += len(keys)
            for key in keys:
                await self._rotation.rewrap(key, target)
                self._done["keys"] += 1
                await order.advance(1)

    async def _change_data_keys(self, order: _Order, only: str) -> None:
        namespaces = await self._rotation.namespaces(only)
        made: dict[str, str] = {}
        for namespace in namespaces:
            made[namespace] = await self._rotation.new_data_key(namespace, order.uid)
            order.total += await self._rotation.pending(namespace, made[namespace])
        await order.tell(namespaces=len(namespaces), message="sealing documents again")
        await self._reseal(order, made)
        if await self._servers.others():
            # They may seal with the key that they remember for a moment longer.
            await order.tell(message="waiting for what other servers had begun")
            await asyncio.sleep(self._intervals.settle)
            await self._reseal(order, made)

    async def _reseal(self, order: _Order, made: dict[str, str]) -> None:
        for namespace, key_id in made.items():
            async for done in self._rotation.reseal(namespace, key_id):
                self._done["documents"] += done
                await order.advance(done, f"sealing documents of {namespace or 'the cluster'} again")

    async def _retire(self) -> None:
        """Forget data keys that have been old for a while and that nothing needs."""
        now = time.monotonic()
        old: dict[tuple[str, str], DataKey] = {
            (key.namespace, key.key_id): key for key in await self._rotation.old_keys()
        }
        self._old = {place: self._old.get(place, now) for place in old}
        for place, key in old.items():
            if now - self._old[place] > RETIRE_AFTER and await self._rotation.retire(key):
                log.info("the old data key %s of namespace %s is gone", key.key_id, key.namespace)

    async def write(self, order: _Order, status: dict[str, Any]) -> None:
        """Write an order's status; only at the version that this server knows. Raises Overtaken, Unavailable."""
        operation = Operation(
            "patch",
            KEY_ROTATION,
            "",
            order.document["metadata"]["name"],
            subresource="status",
            patch={"status": status},
            patch_type=MERGE_PATCH,
            resource_version=order.document["metadata"]["resourceVersion"],
            field_manager="moorage-server",
        )
        result = await self._transactor.transact(SERVER, TransactionRequest([operation]))
        error = result.error or next((each.error for each in result.results if each.error), None)
        if error is not None or result.results[0].document is None:
            name = order.document["metadata"]["name"]
            raise Overtaken(f"rotation {name} was changed by somebody else: {(error or {}).get('message', '')}")
        order.document = result.results[0].document

    @property
    def server(self) -> str:
        """This server's name."""
        return self._servers.name


class _Order:
    """A KeyRotation that this server carries out."""

    def __init__(self, rotator: Rotator, document: Document) -> None:
        self._rotator = rotator
        self.document = document
        self.uid: str = document["metadata"]["uid"]
        self.done = 0
        self.total = 0
        self._told = 0.0

    @property
    def status(self) -> Document:
        """As last written."""
        status: Document = self.document.get("status") or {}
        return status

    async def tell(self, **fields: Any) -> None:
        """Write fields of the status, and that this server is alive."""
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        progress = {"worker": self._rotator.server, "heartbeatTime": moment, "done": self.done, "total": self.total}
        await self._rotator.write(self, {**progress, **fields})
        self._told = time.monotonic()

    def is_silent(self) -> bool:
        """Whether it is time for a sign of life."""
        return time.monotonic() - self._told > SILENCE / 3

    async def advance(self, done: int, message: str = "") -> None:
        """Count what was done; write it down once a second."""
        self.done += done
        self.total = max(self.total, self.done)
        if time.monotonic() - self._told > TELL_EVERY:
            await self.tell(**({"message": message} if message else {}))


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds(text: object) -> float:
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0
