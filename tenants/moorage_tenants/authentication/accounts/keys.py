"""The keys that sign ServiceAccount tokens: made once, kept encrypted in the database, rotated, published.

A new key signs at once: a server that does not know it yet looks into the database, at most every ``PAUSE`` seconds. A retired
key is published until everything that it signed has expired.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from joserfc.jwk import RSAKey

from moorage.store.contracts import Unavailable
from moorage.store.signing_keys import SigningKey as KeyRow
from moorage_tenants.sealing.frames import encrypt, joined, split

log = logging.getLogger(__name__)

PURPOSE = "service-account"
ALGORITHM = "RS256"
"""What every verifier of OpenID Connect must understand (Core 1.0, 15.1)."""
BITS = 2048
ROTATION = 90 * 86_400.0
"""Seconds for which a key signs."""
PAUSE = 1.0
RELOAD = 60.0
_ROOT_KEY = "root"


class KeyTable(Protocol):
    """The rows (``moorage.store.signing_keys``). Methods raise ``Unavailable``."""

    async def keys(self, purpose: str) -> Sequence[KeyRow]:
        """The keys of one purpose, newest first."""
        ...

    async def add(self, key: KeyRow) -> None:
        """Keep a new key."""
        ...

    async def add_first(self, key: KeyRow) -> Sequence[KeyRow]:
        """Keep the first key of its purpose, unless somebody was quicker."""
        ...

    async def retire(self, purpose: str, key_id: str) -> bool:
        """It signs no more."""
        ...

    async def remove(self, purpose: str, key_id: str) -> bool:
        """Forget it."""
        ...


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key as it is used. Times are seconds since the epoch."""

    key_id: str
    public: RSAKey
    private: RSAKey
    created_at: float
    retired_at: float | None


class SigningKeys:
    """The keys of one cluster, as one server knows them. ``secret`` gives the 32 bytes that private keys are
    encrypted under; ``longest`` is how many seconds a token may live.
    """

    def __init__(
        self,
        table: KeyTable,
        secret: Callable[[], Awaitable[bytes]],
        *,
        longest: float,
        rotation: float = ROTATION,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._table = table
        self._secret = secret
        self._longest = longest
        self._rotation = rotation
        self._clock = clock
        self._cipher: AESGCM | None = None
        self._keys: dict[str, SigningKey] = {}
        self._tried = float("-inf")
        self._loading = asyncio.Lock()

    @property
    def public(self) -> Sequence[SigningKey]:
        """All keys that tokens may have been signed with, oldest first."""
        return list(self._keys.values())

    async def signer(self) -> SigningKey:
        """The key to sign with. Raises Unavailable where there is none yet and PostgreSQL is away."""
        key = self._newest()
        if key is None:
            await self.reload()
            key = self._newest() or await self.rotate()
        return key

    async def find(self, key_id: str) -> SigningKey | None:
        """The key of this name; an unknown one is looked for in the database. Raises Unavailable."""
        key = self._keys.get(key_id)
        if key is None and time.monotonic() - self._tried > PAUSE:
            await self.reload()
            key = self._keys.get(key_id)
        return key

    async def reload(self) -> None:
        """Take over what the database holds. Raises Unavailable."""
        async with self._loading:
            self._tried = time.monotonic()
            self._take(await self._table.keys(PURPOSE), await self._opened())

    async def rotate(self) -> SigningKey:
        """A new key signs from now on; the ones before are published for as long as what they signed is valid."""
        before = [key.key_id for key in self._keys.values() if key.retired_at is None]
        private = await asyncio.to_thread(rsa.generate_private_key, 65537, BITS)
        public = private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        key_id = base64.urlsafe_b64encode(hashlib.sha256(public).digest()).decode().rstrip("=")
        secret = private.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        sealed = encrypt(await self._opened(), _ROOT_KEY, secret, _scope(key_id))
        row = KeyRow(PURPOSE, key_id, sealed, public)
        if not before:
            # Where many servers start at once, they agree on one.
            self._take(await self._table.add_first(row), await self._opened())
            return self._newest() or self._keys[key_id]
        await self._table.add(row)
        for each in before:
            await self._table.retire(PURPOSE, each)
        await self.reload()
        log.info("ServiceAccount tokens are signed with a new key, %s", key_id)
        return self._keys[key_id]

    async def run(self) -> None:
        """Keep up with other servers, rotate in time, forget what nobody needs; until cancelled."""
        while True:
            try:
                await self.reload()
                await self._keep()
            except Unavailable as error:
                log.warning("the signing keys were not looked at: %s", error)
            await asyncio.sleep(RELOAD)

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JWK set (RFC 7517)."""
        keys = []
        for key in self._keys.values():
            data: Mapping[str, Any] = key.public.as_dict(private=False)
            keys.append(
                {"use": "sig", "kty": "RSA", "kid": key.key_id, "alg": ALGORITHM, "n": data["n"], "e": data["e"]}
            )
        return {"keys": keys}

    async def _keep(self) -> None:
        now = self._clock()
        newest = self._newest()
        if newest is None or now - newest.created_at > self._rotation:
            await self.rotate()
        for key in self.public:
            if key.retired_at is not None and now - key.retired_at > self._longest:
                await self._table.remove(PURPOSE, key.key_id)
                self._keys.pop(key.key_id, None)

    def _take(self, rows: Sequence[KeyRow], cipher: AESGCM) -> None:
        """Know exactly these keys, oldest first."""
        known = self._keys
        self._keys = {}
        for row in reversed(rows):
            key = known.get(row.key_id) or _read(row, cipher)
            self._keys[row.key_id] = replace(key, retired_at=row.retired_at)

    def _newest(self) -> SigningKey | None:
        signing = [key for key in self._keys.values() if key.retired_at is None]
        return signing[-1] if signing else None

    async def _opened(self) -> AESGCM:
        if self._cipher is None:
            self._cipher = AESGCM(await self._secret())
        return self._cipher


def _read(row: KeyRow, cipher: AESGCM) -> SigningKey:
    _, nonce, ciphertext = split(row.sealed)
    private = cipher.decrypt(nonce, ciphertext, _scope(row.key_id))
    return SigningKey(
        row.key_id,
        RSAKey.import_key(_pem(row.public)),
        RSAKey.import_key(_private_pem(private)),
        row.created_at,
        row.retired_at,
    )


def _pem(der: bytes) -> bytes:
    return serialization.load_der_public_key(der).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _private_pem(der: bytes) -> bytes:
    return serialization.load_der_private_key(der, None).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _scope(key_id: str) -> bytes:
    return joined("signing key", PURPOSE, key_id)
