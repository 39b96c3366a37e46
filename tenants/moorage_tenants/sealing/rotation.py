"""The steps of a rotation of keys. Each stands alone and may be done again: an interrupted rotation goes on where it was.

Data keys: a namespace gets a key of a higher generation, then everything that older ones sealed is sealed again, in small steps,
while reads and writes go on. Key-encryption keys: every wrapped key is wrapped again; the root secret comes first, because
servers wrap new keys by the key that the root secret is wrapped by.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from moorage.store.contracts import DataKey, KeyStore
from moorage_tenants.sealing.documents import ROOT, DocumentSealer
from moorage_tenants.sealing.frames import KEY, prefix, split
from moorage_tenants.sealing.kms import KEPT, KmsKek

BATCH = 200
"""Documents that are sealed again in one step."""


class KeyTable(KeyStore, Protocol):
    """The table of wrapped keys, as rotations need it (``moorage.store.keys.DataKeys``). Methods raise Unavailable."""

    async def generations(self, namespace: str) -> Sequence[DataKey]:
        """The keys of a namespace: the one to seal with first."""
        ...

    async def replace(self, key: DataKey, wrapped: bytes) -> bool:
        """The same key in another wrapping; False where it has changed meanwhile."""
        ...

    async def remove(self, namespace: str, key_id: str) -> bool:
        """Forget a key of an old generation."""
        ...


class Resealing(Protocol):
    """Re-encryption in the store (``moorage.store.resealing``). ``prefix`` is how a key's ciphertexts begin."""

    async def namespaces(self) -> Sequence[str]:
        """Where sealed documents are."""
        ...

    async def pending(self, namespace: str, prefix: bytes) -> int:
        """How many documents are sealed with another key."""
        ...

    async def step(self, namespace: str, prefix: bytes, limit: int = BATCH) -> int:
        """Seal some of them with the current key; how many there were, 0 for none."""
        ...

    async def in_use(self, namespace: str, prefix: bytes) -> bool:
        """Whether anything, history included, is sealed with the key of ``prefix``."""
        ...


class Rotation:
    """The steps, for one server."""

    def __init__(self, sealer: DocumentSealer, keys: KeyTable, resealing: Resealing) -> None:
        self._sealer = sealer
        self._keys = keys
        self._resealing = resealing

    async def namespaces(self, only: str) -> list[str]:
        """Whose data keys are rotated."""
        return [only] if only else list(await self._resealing.namespaces())

    async def new_data_key(self, namespace: str, order: str) -> str:
        """The key that ``order`` (the rotation's uid) brings to the namespace, made where it is not there yet; its id."""
        key_id = hashlib.sha256(f"{order}/{namespace}".encode()).hexdigest()[:16]
        found = await self._keys.generations(namespace)
        if all(key.key_id != key_id for key in found):
            wrapped = await self._sealer.wrap(namespace, key_id, secrets.token_bytes(KEY))
            generation = max((key.generation for key in found), default=0) + 1
            await self._keys.add_data_key(namespace, key_id, wrapped, generation=generation)
        self._sealer.forget(namespace)
        return key_id

    async def pending(self, namespace: str, key_id: str) -> int:
        """How many documents of the namespace wait to be sealed with the key."""
        return await self._resealing.pending(namespace, prefix(key_id))

    async def reseal(self, namespace: str, key_id: str) -> AsyncIterator[int]:
        """Seal the namespace's documents with the key; yields how many were done after each step. Ends at once where a later
        rotation has brought a newer key.
        """
        while (await self._keys.generations(namespace))[0].key_id == key_id:
            done = await self._resealing.step(namespace, prefix(key_id), BATCH)
            if not done:
                return
            yield done

    async def next_kek(self) -> str:
        """The id of the key-encryption key to change to: the one that stands first, or a new one of the KMS."""
        kek = await self._sealer.kek(fresh=True)
        source = self._sealer.source
        if isinstance(source, KmsKek) and kek.first == await self._sealer.active_kek():
            await source.add(self._keys, len(await self._keys.data_keys(KEPT)) + 1)
            kek = await self._sealer.kek(fresh=True)
        return kek.first

    async def wrapped_by_others(self, kek_id: str) -> list[DataKey]:
        """The keys that another key-encryption key wraps, the root secret first."""
        found: list[DataKey] = []
        after: DataKey | None = None
        while page := await self._keys.page(after):
            found += [key for key in page if key.namespace != KEPT and split(key.wrapped)[0] != kek_id]
            after = page[-1]
        return sorted(found, key=lambda key: key.namespace != ROOT)

    async def rewrap(self, key: DataKey, kek_id: str) -> None:
        """Wrap one key by the key-encryption key."""
        plain = await self._sealer.unwrap(key.namespace, key.key_id, key.wrapped)
        scope = self._sealer.key_scope(key.namespace, key.key_id)
        await self._keys.replace(key, (await self._sealer.kek()).wrap(plain, scope, kek_id))

    async def old_keys(self) -> list[DataKey]:
        """Data keys that are not sealed with any more."""
        newest: dict[str, int] = {}
        found: list[DataKey] = []
        after: DataKey | None = None
        while page := await self._keys.page(after):
            found += [key for key in page if not key.namespace.startswith("@")]
            after = page[-1]
        for key in found:
            newest[key.namespace] = max(newest.get(key.namespace, 0), key.generation)
        return [key for key in found if key.generation < newest[key.namespace]]

    async def retire(self, key: DataKey) -> bool:
        """Forget an old data key where nothing needs it, history included; whether it is gone."""
        if await self._resealing.in_use(key.namespace, prefix(key.key_id)):
            return False
        return await self._keys.remove(key.namespace, key.key_id)
