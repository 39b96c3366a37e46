"""The sealer that the store is given: documents of secret kinds in, ciphertexts out, a data key per namespace.

Associated data holds the scope (cluster, group/resource, namespace, name, uid), so that nothing sealed can be moved to
where another may read it (CVE-2026-22728).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from moorage.store.contracts import DataKey, KeyStore, SealContext
from moorage_tenants.sealing.frames import KEY, encrypt, joined, split
from moorage_tenants.sealing.kek import Kek, KekSource, UnknownKek

log = logging.getLogger(__name__)

ROOT = "@root"
"""Where the platform's own secret is kept among the data keys: no namespace can have this name."""
LOOK_AGAIN = 5.0
"""Seconds after which a server asks whether another one has begun to seal a namespace with a newer key."""


@dataclass(slots=True)
class _Current:
    key_id: str
    looked: float


class DocumentSealer:
    """Implements ``moorage.store.contracts.Sealer``. ``cluster`` is the cluster's uid."""

    def __init__(self, kek: KekSource, keys: KeyStore, cluster: str) -> None:
        self.source = kek
        self.keys = keys
        self.cluster = cluster
        self._ciphers: dict[tuple[str, str], AESGCM] = {}
        self._current: dict[str, _Current] = {}
        self._making = asyncio.Lock()

    async def seal(self, plaintext: bytes, context: SealContext) -> bytes:
        """The ciphertext; it names its key."""
        known = self._current.get(context.namespace)
        if known is None or time.monotonic() - known.looked > LOOK_AGAIN:
            known = await self._choose(context.namespace)
        return encrypt(self._ciphers[context.namespace, known.key_id], known.key_id, plaintext, self._scope(context))

    async def unseal(self, sealed: bytes, context: SealContext) -> bytes:
        """The plaintext. Raises InvalidTag for what was moved, changed, or sealed by a key that is gone."""
        key_id, nonce, ciphertext = split(sealed)
        cipher = self._ciphers.get((context.namespace, key_id))
        if cipher is None:
            await self._load(context.namespace)
            cipher = self._ciphers.get((context.namespace, key_id))
        if cipher is None:
            raise InvalidTag(f'no data key {key_id} of namespace "{context.namespace}"')
        return cipher.decrypt(nonce, ciphertext, self._scope(context))

    async def preload(self) -> None:
        """Unwrap the keys of all namespaces: a cache that is filled would ask for them one by one. Raises InvalidTag."""
        after: DataKey | None = None
        while page := await self.keys.page(after):
            for key in page:
                if not key.namespace.startswith("@") and (key.namespace, key.key_id) not in self._ciphers:
                    plain = await self.unwrap(key.namespace, key.key_id, key.wrapped)
                    self._ciphers[key.namespace, key.key_id] = AESGCM(plain)
            after = page[-1]

    async def unwrap(self, namespace: str, key_id: str, wrapped: bytes) -> bytes:
        """A data key in the clear. Where its KEK is unknown, the KEKs are looked at again. Raises InvalidTag."""
        scope = self.key_scope(namespace, key_id)
        try:
            return (await self.kek()).unwrap(wrapped, scope)
        except UnknownKek:
            return (await self.kek(fresh=True)).unwrap(wrapped, scope)

    async def wrap(self, namespace: str, key_id: str, key: bytes) -> bytes:
        """A data key as it is kept, wrapped by the KEK in use: the one that the root secret is wrapped by.

        A KEK that was put in front of the file is used only when a rotation has found that every server has it.
        """
        used = await self.active_kek()
        return (await self.kek()).wrap(key, self.key_scope(namespace, key_id), used)

    async def active_kek(self) -> str:
        """The id of the KEK in use."""
        for _, wrapped in await self.keys.data_keys(ROOT):
            return split(wrapped)[0]
        return (await self.kek()).first

    async def kek(self, *, fresh: bool = False) -> Kek:
        """The key-encryption keys. Raises BadKek."""
        return await self.source.current(self.keys, self.cluster, fresh=fresh)

    async def root(self) -> bytes:
        """The platform's root secret: random, made once, the same for all servers, unchanged by rotations of the KEK."""
        async with self._making:
            for key_id, wrapped in await self.keys.data_keys(ROOT):
                return await self.unwrap(ROOT, key_id, wrapped)
            await self._make(ROOT)
            key_id, wrapped = (await self.keys.data_keys(ROOT))[0]
            return await self.unwrap(ROOT, key_id, wrapped)

    async def derived(self, purpose: bytes) -> bytes:
        """A key for something else that only this platform's servers can know (HKDF of the root secret, RFC 5869)."""
        return HKDF(hashes.SHA256(), KEY, salt=None, info=b"moorage " + purpose).derive(await self.root())

    def forget(self, namespace: str) -> None:
        """Look at the namespace's keys again before the next document is sealed."""
        self._current.pop(namespace, None)

    def key_scope(self, namespace: str, key_id: str) -> bytes:
        """What a wrapped key is bound to."""
        return joined("data key", self.cluster, namespace, key_id)

    async def _choose(self, namespace: str) -> _Current:
        """The data key that new documents of the namespace are sealed with; made where there is none."""
        async with self._making:
            known = self._current.get(namespace)
            now = time.monotonic()
            if known is None or now - known.looked > LOOK_AGAIN:
                ids = await self._load(namespace)
                if not ids:
                    await self._make(namespace)
                    ids = await self._load(namespace)
                known = self._current[namespace] = _Current(ids[0], now)
            return known

    async def _make(self, namespace: str) -> None:
        key_id = secrets.token_hex(8)
        wrapped = await self.wrap(namespace, key_id, secrets.token_bytes(KEY))
        await self.keys.add_data_key(namespace, key_id, wrapped)

    async def _load(self, namespace: str) -> list[str]:
        """Unwrap the namespace's keys that are not known yet; all ids, the one to seal with first."""
        ids = []
        for key_id, wrapped in await self.keys.data_keys(namespace):
            ids.append(key_id)
            if (namespace, key_id) not in self._ciphers:
                self._ciphers[namespace, key_id] = AESGCM(await self.unwrap(namespace, key_id, wrapped))
        return ids

    def _scope(self, context: SealContext) -> bytes:
        resource = f"{context.group}/{context.resource}"
        return joined("document", self.cluster, resource, context.namespace, context.name, context.uid)
